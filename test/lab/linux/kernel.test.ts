import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { ensurePrivilege } from '../../../lab/index.ts';
import { ip as parse } from '../../../src/lib/ip.ts';
import {
  enterNewNamespace,
  inNamespace,
  isKernelError,
  openKernel,
  systemClock,
} from '../../../src/linux/index.ts';
import type { KernelEvent, OpenKernel } from '../../../src/linux/index.ts';
import { linkOf, refused, request } from '../../../src/testing/contract/kernel/subject.ts';
import { ip, ipJson, makeLinks, until } from './namespace-subject.ts';

const refusal = ensurePrivilege();

async function inFreshNamespace(
  body: (kernel: OpenKernel) => Promise<void>,
  options: { readonly eventQueueBytes?: number } = {},
): Promise<void> {
  enterNewNamespace();
  makeLinks();
  const kernel = openKernel({ clock: systemClock(), ...options });
  try {
    await body(kernel);
  } finally {
    kernel.close();
  }
}

describe('the real kernel', { skip: refusal?.because ?? false }, () => {
  it('an overflowing event queue ends in a resync, and events flow again after it', () =>
    inFreshNamespace(
      async (kernel) => {
        const near = linkOf({ kernel });
        const events: KernelEvent[] = [];
        const watching = kernel.watch(['address'], (event) => void events.push(event));
        const many = Array.from({ length: 200 }, (_, i) => request(near.index, `10.0.0.${i}/32`));
        kernel.setAddresses(many);
        await until('a resync', () => events.some(({ kind }) => kind === 'resync'));
        assert.equal(events.filter(({ kind }) => kind === 'resync').length, 1);
        assert.equal(events.at(-1)?.kind, 'resync');
        kernel.setAddress(request(near.index, '192.0.2.1/32'));
        await until('the event after it', () => events.at(-1)?.kind === 'address');
        watching.close();
      },
      { eventQueueBytes: 4096 },
    ));

  it('a packet socket that cannot be had, on a link that is gone, holds nobody up', () =>
    inFreshNamespace((kernel) => {
      // The end of a packet socket takes Linux 10 to 50 ms, and a gone link may have had a thousand VIPs.
      const takes = Array.from({ length: 20 }, () => {
        const start = performance.now();
        refused('retry', () => kernel.openPacketSocket({ ifindex: 4096, etherType: 0x0806 }));
        return performance.now() - start;
      });
      takes.sort((a, b) => a - b);
      assert.ok((takes[10] ?? Infinity) < 5, `${takes.map((ms) => ms.toFixed(1)).join()} ms`);
      return Promise.resolve();
    }));

  it('a port that leaves its bridge is changed, not gone', () =>
    inFreshNamespace(async (kernel) => {
      ip('link add br0 type bridge');
      ip('link set near master br0');
      assert.equal(linkOf({ kernel }).master, linkOf({ kernel }, 'br0').index);
      const changes: string[] = [];
      const watching = kernel.watch(['link'], (event) => {
        if (event.kind === 'link' && event.link.name === 'near')
          changes.push(`${event.change} ${event.link.master ?? '-'}`);
      });
      ip('link set near nomaster');
      await until('the event', () => changes.includes('set -'));
      assert.deepEqual(
        changes.filter((change) => change.startsWith('gone')),
        [],
      );
      watching.close();
    }));

  it('a dump of 10 000 addresses lets the event loop turn in between', () =>
    inFreshNamespace(async (kernel) => {
      const near = linkOf({ kernel });
      const many = Array.from({ length: 10_000 }, (_, i) =>
        request(near.index, `10.0.${i >> 8}.${i & 255}/32`),
      );
      assert.ok(kernel.setAddresses(many).every((error) => error === undefined));
      let turns = 0;
      let isDone = false;
      const count = (): void => {
        turns++;
        if (!isDone) setImmediate(count);
      };
      count();
      const found = await kernel.addresses();
      isDone = true;
      assert.equal(
        found.filter(({ ifindex, scope }) => ifindex === near.index && scope === 'global').length,
        10_000,
      );
      assert.ok(turns > 10, `${turns} turns`);
      const [judged] =
        await ipJson<readonly { readonly addr_info: readonly unknown[] }[]>('-4 addr show dev near');
      assert.equal(judged?.addr_info.length, 10_000);
    }));

  it('a dump during which the table changes is made again, until it is whole', () =>
    inFreshNamespace(async (kernel) => {
      const near = linkOf({ kernel });
      const key = (i: number): string => `10.0.${i >> 8}.${i & 255}/32`;
      kernel.setAddresses(Array.from({ length: 3000 }, (_, i) => request(near.index, key(i))));
      const dump = kernel.addresses();
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve) => setImmediate(resolve));
        kernel.removeAddress(near.index, parse(`10.0.0.${i}`), 32);
        kernel.setAddress(request(near.index, key(5000 + i)));
      }
      const found = new Set((await dump).map(({ address, prefixLength }) => `${address}/${prefixLength}`));
      assert.ok([0, 1, 2].every((i) => !found.has(key(i)) && found.has(key(5000 + i))));
    }));

  it('a dump of a table that never rests is given up as `retry`', () =>
    inFreshNamespace(async (kernel) => {
      const near = linkOf({ kernel });
      kernel.setAddresses(
        Array.from({ length: 3000 }, (_, i) => request(near.index, `10.0.${i >> 8}.${i & 255}/32`)),
      );
      let isDone = false;
      let i = 0;
      const disturb = (): void => {
        if (isDone) return;
        kernel.setAddress(request(near.index, `10.9.${(i >> 8) & 255}.${i++ & 255}/32`));
        setImmediate(disturb);
      };
      disturb();
      const outcome: unknown = await kernel.addresses().catch((error: unknown) => error);
      isDone = true;
      assert.ok(isKernelError(outcome, 'retry'), String(outcome));
      assert.match(outcome.message, /the table changed during each of 8 dumps/);
    }));

  it('settings of a link whose name has a dot', () =>
    inFreshNamespace(async (kernel) => {
      ip('link set near down');
      ip('link set near name eth0.100');
      const name = 'net.ipv4.conf.eth0/100.arp_ignore';
      kernel.writeSysctl(name, '1');
      assert.equal(execFileSync('sysctl', ['-n', name], { encoding: 'utf8' }).trim(), '1');
    }));

  it('a function runs inside a named namespace, or that of a process, and the thread comes back', () => {
    enterNewNamespace();
    makeLinks();
    const name = `kv${process.pid}-a`;
    execFileSync('ip', ['netns', 'add', name]);
    try {
      const links = (): string => ip('-o link');
      assert.match(links(), /near/);
      assert.doesNotMatch(inNamespace({ name }, links), /near/);
      assert.match(links(), /near/);
      assert.throws(() => inNamespace({ name }, () => assert.fail('inside')), /inside/);
      assert.match(links(), /near/);
      const sleeper = execFileSync('ip', [
        'netns',
        'exec',
        name,
        'sh',
        '-c',
        'sleep 30 >/dev/null 2>&1 & echo $!',
      ]);
      const pid = Number(sleeper.toString());
      try {
        assert.doesNotMatch(inNamespace({ pid }, links), /near/);
      } finally {
        process.kill(pid);
      }
      const kernel = inNamespace({ name }, () => openKernel({ clock: systemClock() }));
      assert.equal(kernel.linkByName('near'), undefined, 'a socket stays in the namespace it was made in');
      kernel.close();
    } finally {
      execFileSync('ip', ['netns', 'del', name]);
    }
    refused('bug', () => inNamespace({ name: `kv${process.pid}-none` }, () => undefined));
  });

  it('without capabilities reading works, and what does not says which one is missing', () => {
    enterNewNamespace();
    makeLinks();
    const folder = mkdtempSync(path.join(tmpdir(), 'kv-capability-'));
    const script = path.join(folder, 'poor.ts');
    const index = new URL('../../../src/linux/index.ts', import.meta.url).href;
    writeFileSync(
      script,
      `import { openKernel, systemClock, ownMissingCapabilities } from '${index}';
      const kernel = openKernel({ clock: systemClock() });
      const near = kernel.linkByName('near');
      const attempt = (what) => { try { what(); return 'done'; } catch (error) { return error.kind + ': ' + error.message; } };
      const address = { ifindex: near.index, address: '192.0.2.1', prefixLength: 32, scope: 'global', noDad: false, protocol: 11 };
      const watching = kernel.watch(['address'], () => undefined);
      watching.close();
      console.log(JSON.stringify({
        missing: ownMissingCapabilities(),
        links: (await kernel.links()).length,
        set: attempt(() => kernel.setAddress(address)),
        remove: attempt(() => kernel.removeAddress(near.index, '192.0.2.1', 32)),
        socket: attempt(() => kernel.openPacketSocket({ ifindex: near.index, etherType: 0x0806 })),
        rule: attempt(() => kernel.addRule({ family: 4, priority: 7, table: 7, protocol: 0 })),
      }));
      kernel.close();`,
    );
    const drop = ['--bounding-set', '-net_admin,-net_raw', '--inh-caps', '-net_admin,-net_raw'];
    try {
      const { stdout, stderr } = spawnSync('setpriv', [...drop, process.execPath, script], {
        encoding: 'utf8',
      });
      assert.notEqual(stdout, '', stderr);
      const result = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
      const message = (what: string, capability: string): RegExp =>
        new RegExp(`^capability: ${what}: .*missing capability ${capability}: add it to securityContext`);
      assert.deepEqual([result['missing'], result['links']], [['NET_ADMIN', 'NET_RAW'], 3]);
      assert.match(String(result['set']), message('set address 192.0.2.1/32 on link \\d+', 'NET_ADMIN'));
      assert.match(
        String(result['remove']),
        message('remove address 192.0.2.1/32 on link \\d+', 'NET_ADMIN'),
      );
      assert.match(String(result['socket']), message('open packet socket on link \\d+', 'NET_RAW'));
      assert.match(String(result['rule']), message('add rule 7: from all lookup 7', 'NET_ADMIN'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
