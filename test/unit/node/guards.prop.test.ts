import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ip, parsePrefix, type Prefix } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { createNode, type Node, type Owner } from '../../../src/node/index.ts';
import { newCounters } from '../../../src/node/forwarding/counters.ts';
import { Tables } from '../../../src/node/forwarding/nftables/tables.ts';
import type { GuardSpec } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { FakeNftables } from '../../../src/testing/fake-nftables.ts';
import { runs } from '../../../src/testing/runs.ts';

const table = 'kube-vip-guard';
const owners: readonly Owner[] = ['service/a/a', 'service/a/b', 'service/a/c', 'service/a/d'];

interface Scene {
  readonly node: Node;
  readonly nftables: FakeNftables;
  readonly clock: FakeClock;
}

async function scene(nftables = new FakeNftables()): Promise<Scene> {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  kernel.addLink({ name: 'eth0' });
  const node = createNode({ kernel, clock, log: silentLogger, guards: { nftables, table } });
  await node.start();
  return { node, nftables, clock };
}

const ranges = fc.subarray(['10.0.0.0/8', '192.168.0.0/16', '2001:db8::/32']).map((texts) => {
  const prefixes = texts.flatMap((text): Prefix[] => [parsePrefix(text) ?? assert.fail(text)]);
  return prefixes.length === 0 ? undefined : prefixes;
});
const port = fc.record({
  protocol: fc.constantFrom('tcp', 'udp'),
  port: fc.integer({ min: 80, max: 82 }),
  sources: ranges,
});
const guard = fc.record({
  kind: fc.constant('guard'),
  vip: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1').map(ip),
  link: fc.constant('eth0'),
  ports: fc.uniqueArray(port, { maxLength: 3, selector: (one) => `${one.protocol} ${one.port}` }),
});
const step = fc.record({
  owner: fc.constantFrom(...owners),
  specs: fc.uniqueArray(guard, { maxLength: 2, selector: ({ vip }) => vip }),
  fails: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  restarts: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});

test('however guards come, change and go, the rules are those of a process that was told them all at once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
      const wanted = new Map<Owner, readonly GuardSpec[]>();
      const tellAll = (node: Node): void => {
        node.publishAll([...wanted].map(([owner, specs]) => ({ owner, specs })));
        node.sweep();
      };
      let now = await scene();
      tellAll(now.node);
      for (const { owner, specs, fails, restarts } of steps) {
        now.nftables.failAll(fails ? errnoOf.ENOMEM : undefined);
        wanted.set(owner, specs);
        now.node.publish(owner, specs);
        now.nftables.failAll(undefined);
        if (fails) await now.clock.advance(100);
        if (restarts) {
          now.node.close();
          now = await scene(now.nftables);
          tellAll(now.node);
        }
        const fresh = await scene();
        tellAll(fresh.node);
        assert.deepEqual(now.nftables.show(), fresh.nftables.show());
        fresh.node.close();
      }
      now.node.close();
    }),
    { numRuns: runs(25) },
  );
});

test('a change that is known by its steps looks at nothing else, unless it is refused', async () => {
  const nftables = new FakeNftables();
  const shared = { clock: new FakeClock(), log: silentLogger, observer: {}, counters: newCounters() };
  const tables = new Tables(nftables, shared, table);
  await tables.start();
  const made: string[] = [];
  const make = (what: string) => () => {
    made.push(what);
    return [];
  };
  tables.set([]);
  tables.setBy([{ do: 'add table', family: 'ip', table }], make('before'), make('after'));
  assert.deepEqual(made, []);
  assert.equal(nftables.commits.length, 1);
  nftables.failNext(errnoOf.ENOMEM);
  tables.setBy([{ do: 'delete table', family: 'ip', table }], make('before'), make('after'));
  assert.deepEqual(made, ['before']);
  tables.stop();
});
