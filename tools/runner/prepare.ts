import {
  clusterPrograms,
  dataPathPrograms,
  ensureComponents,
  networkTools,
  peerTools,
  routers,
  whyMissing,
} from '../../lab/components.ts';
import type { Component } from '../../lab/components.ts';
import { ensureKernel } from '../../lab/kernel/index.ts';
import { privilege } from '../../lab/privilege.ts';
import type { Kind } from './kinds.ts';

/** Without these two no lab can be built; the other tools are asked for by the tests that use them. */
const LAB_FLOOR = ['ip', 'nsenter'];
/** What the tests inside another kernel judge with. */
const KERNEL_TOOLS = ['ipvsadm', 'conntrack', 'nft'];

/**
 * Installs or builds what the chosen kinds need and is missing, where this machine allows it.
 * Returns, by kind, why it cannot run at all.
 */
export async function prepare(kinds: readonly Kind[]): Promise<ReadonlyMap<Kind, string>> {
  const blocked = new Map<Kind, string>();
  const needing = kinds.filter((kind) => kind.needs !== 'nothing');
  if (needing.length === 0) return blocked;
  const cluster = needing.some((kind) => kind.needs === 'cluster');
  const kernel = needing.find((kind) => kind.needs === 'kernel');
  const names = [
    ...networkTools,
    ...peerTools,
    ...routers,
    ...(cluster ? ['openssl', ...clusterPrograms, ...dataPathPrograms] : []),
    ...(kernel === undefined ? [] : KERNEL_TOOLS),
  ];
  const components = await ensureComponents(names, { say: (line) => console.log(line) });
  for (const each of components) if ('missing' in each) console.log(`missing ${each.name}: ${each.because}`);
  for (const kind of needing) {
    const because = whyBlocked(kind, components);
    if (because !== undefined) blocked.set(kind, because);
  }
  if (kernel !== undefined && !blocked.has(kernel)) {
    const found = await ensureKernel((line) => console.log(line));
    if ('because' in found) blocked.set(kernel, found.because);
    else console.log(`test kernel: ${found.path} (${found.kind})`);
  }
  return blocked;
}

function whyBlocked(kind: Kind, components: readonly Component[]): string | undefined {
  const right = privilege();
  if (right.how === 'none') return right.because;
  const own = { nothing: [], lab: [], cluster: ['openssl', ...clusterPrograms], kernel: KERNEL_TOOLS };
  const needed: readonly string[] = [...LAB_FLOOR, ...own[kind.needs]];
  return whyMissing(components.filter(({ name }) => needed.includes(name)));
}
