import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabProcess, Machine } from '../../lab/index.ts';
import { virtualServers, type Path } from './paths.ts';
import type { LoadFigures, LoadReport, VirtualServer } from './protocol.ts';
import { first } from './priority.ts';
import type { Site } from './site.ts';

export type Farewell = 'drained' | 'dies';
export const farewells: Readonly<Record<Farewell, string>> = {
  drained: 'drained, its connections may stay',
  dies: 'dies without a word, noticed after 500 ms',
};

/** Two failed probes of 250 ms each. */
const noticeMs = 500;

/** A back-end goes away under load and comes back. */
export async function removeUnderLoad(
  site: Site,
  { target, forwarding, name }: Path,
  how: Farewell,
): Promise<LoadReport> {
  if (forwarding === undefined) throw new Error(`${name} is not ours to change`);
  const method: VirtualServer['method'] = name === 'direct-return' ? 'directroute' : 'masquerade';
  const all = virtualServers(site, target, method);
  const leaving = site.backEnd(2);
  const without = (state: 'draining' | 'dead'): readonly VirtualServer[] =>
    all.map((spec) => ({
      ...spec,
      realServers: spec.realServers.map((server) =>
        server.address === leaving.ipv4 ? { ...server, state } : server,
      ),
    }));
  const load = startLoad(site.client, target);
  try {
    await sleep(1000);
    if (how === 'drained') {
      await forwarding.set(without('draining'));
    } else {
      await leaving.cable.cut('both');
      await sleep(noticeMs);
      await forwarding.set(without('dead'));
    }
    await sleep(1500);
    return await endOf(load);
  } finally {
    await load.kill();
    await leaving.cable.heal();
    await forwarding.set(all);
  }
}

function startLoad(client: Machine, { address, port }: Path['target']): LabProcess {
  const script = path.join(import.meta.dirname, 'load.ts');
  return client.start('load', first(process.execPath, script, address, String(port)), { pipe: true });
}

async function endOf(load: LabProcess): Promise<LoadReport> {
  const { stdin, stdout } = load.child;
  let text = '';
  stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  stdin?.end();
  load.child.ref();
  await load.exited;
  if (text === '') throw new Error(load.tail());
  return JSON.parse(text) as LoadReport;
}

/** Of several repetitions: all requests, all failures, the longest wait. */
export function total(figures: readonly LoadFigures[]): LoadFigures {
  return {
    requests: figures.reduce((sum, { requests }) => sum + requests, 0),
    failed: figures.reduce((sum, { failed }) => sum + failed, 0),
    longestMs: Math.max(...figures.map(({ longestMs }) => longestMs)),
  };
}
