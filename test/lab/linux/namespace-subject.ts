import assert from 'node:assert/strict';
import { execFileSync, execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { enterNewNamespace, openKernel, systemClock } from '../../../src/linux/index.ts';
import type { KernelSubject } from '../../../src/testing/contract/kernel/index.ts';

const run = promisify(execFile);

/** Runs `ip` in the namespace this thread is in. */
export function ip(words: string): string {
  return execFileSync('ip', words.split(' '), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export async function ipJson<T>(words: string): Promise<T> {
  const { stdout } = await run('ip', ['-j', ...words.split(' ')], { maxBuffer: 1 << 26 });
  return (stdout === '' ? [] : JSON.parse(stdout)) as T;
}

/** A fresh namespace with a veth pair `near` and `far`, both up and running. */
export function makeLinks(): void {
  ip('link add name near type veth peer name far');
  ip('link set lo up');
  ip('link set far up');
  ip('link set near up');
  // A link that is up is `lowerlayerdown` for a moment until the kernel has looked at both ends.
  const deadline = performance.now() + 5000;
  while (!ip('-o link show near').includes(' state UP '))
    assert.ok(performance.now() < deadline, ip('-o link show near'));
}

interface AddressJson {
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly broadcast?: string;
    readonly scope: string;
    readonly [flag: string]: unknown;
  }[];
}

const flags = ['secondary', 'dadfailed', 'tentative', 'deprecated', 'nodad'];

export async function judgeAddresses(link: string): Promise<readonly string[]> {
  const [found] = await ipJson<readonly AddressJson[]>(`addr show dev ${link}`);
  return (found?.addr_info ?? [])
    .filter(({ local }) => !local.startsWith('fe80:'))
    .map((info) => {
      const broadcast = info.broadcast === undefined ? '' : ` brd ${info.broadcast}`;
      const set = flags.filter((flag) => info[flag] === true).map((flag) => ` ${flag}`);
      return `${info.local}/${info.prefixlen}${broadcast} scope ${info.scope}${set.join('')}`;
    });
}

interface RouteJson {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly metric?: number;
  readonly prefsrc?: string;
}

async function judgeRoutes(table: number): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const family of ['-4', '-6']) {
    const routes = await ipJson<readonly RouteJson[]>(`${family} route show table ${table}`).catch(() => []);
    for (const { dst, gateway, dev, metric, prefsrc } of routes) {
      const words = [
        dst,
        gateway && `via ${gateway}`,
        dev && `dev ${dev}`,
        metric !== undefined && metric !== 1024 && `metric ${metric}`,
        prefsrc && `src ${prefsrc}`,
      ];
      lines.push(words.filter((word) => typeof word === 'string').join(' '));
    }
  }
  return lines;
}

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await sleep(5);
  }
}

/** The real kernel, in a namespace of its own that this thread moves into. */
export function namespaceSubject(options: { readonly forceFallback?: boolean } = {}): KernelSubject {
  enterNewNamespace();
  makeLinks();
  const failures: string[] = [];
  const kernel = openKernel({
    clock: systemClock(),
    onFallback: (reason) => void failures.push(`fallback: ${reason}`),
    onDecodeError: (error) => void failures.push(error.message),
    ...options,
  });
  // A second set of sockets plays the other end of the cable.
  const heard: Uint8Array[] = [];
  const openFar = (): ReturnType<typeof kernel.openPacketSocket> =>
    kernel.openPacketSocket({
      ifindex: kernel.linkByName('far')?.index ?? 0,
      etherType: 0x0003, // ETH_P_ALL
      onFrame: (frame) => void heard.push(frame),
    });
  let far = openFar();
  return {
    kernel,
    setLink: (name, state) => void ip(`link set ${name} ${state}`),
    recreateLinks: () => {
      ip('link del near');
      makeLinks();
      far.close();
      far = openFar();
    },
    addAddress: (link, prefix) => void ip(`addr add ${prefix} dev ${link}`),
    takeAddress: (link, prefix) => void ip(`addr del ${prefix} dev ${link}`),
    failDad: (address) => void ip(`addr add ${address}/128 dev far nodad`),
    arrive: (frame) => far.send(frame),
    sent: async (etherType) =>
      heard.filter((frame) => (frame[12] ?? 0) * 256 + (frame[13] ?? 0) === etherType),
    judgeAddresses,
    judgeRoutes,
    until,
    close: async () => {
      far.close();
      kernel.close();
      assert.deepEqual(failures, []);
    },
  };
}
