import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NftTable } from '../../../src/linux/index.ts';
import { directReturnTable } from '../../../src/node/forwarding/nftables/direct-return.ts';
import { endpointHex, hostU32 } from '../../../src/node/forwarding/nftables/data.ts';
import { markOf } from '../../../src/node/forwarding/nftables/marks.ts';
import { Places } from '../../../src/node/forwarding/nftables/places.ts';
import { ip } from '../../../src/lib/ip.ts';
import { observedOf, planTables } from '../../../src/node/forwarding/nftables/plan.ts';
import { translated } from '../../../src/node/forwarding/nftables/service.ts';
import { TABLE, translationTable } from '../../../src/node/forwarding/nftables/translation.ts';
import type { RealServer, VirtualServerSpec } from '../../../src/node/forwarding/types.ts';
import { FakeNftables } from '../../../src/testing/fake-nftables.ts';
import { directService, server, spec } from './scene.ts';

function tablesOf(specs: readonly VirtualServerSpec[]): readonly NftTable[] {
  const services = specs.map((each) =>
    each.method === 'directroute' ? directService(each) : translated(each),
  );
  return [
    translationTable('ip', services),
    translationTable('ip6', services),
    directReturnTable(services),
  ].flatMap((table) => table ?? []);
}

test('nothing is done when all is as it should be', () => {
  const tables = tablesOf([
    spec('10.0.0.100'),
    spec('fd00::100'),
    spec('10.0.0.101', { method: 'directroute' }),
  ]);
  assert.deepEqual(planTables(tables, observedOf(tables)), []);
});

test('translating: a server that goes changes one rule and few turns, in a state that no packet falls through', () => {
  const places = new Places();
  const tables = (...addresses: readonly string[]): readonly NftTable[] => {
    const realServers = addresses.map((address) => server(address));
    const service = places.settle(translated(spec('10.0.0.100', { realServers })));
    const table = translationTable('ip', [service, translated(spec('10.0.0.101'))]);
    return table === undefined ? [] : [table];
  };
  const before = tables('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4');
  const after = tables('10.0.0.1', '10.0.0.3', '10.0.0.4');
  const steps = planTables(after, observedOf(before));
  assert.deepEqual(
    steps.map((step) => step.do),
    ['delete elements', 'add elements', 'flush chain', 'add rule'],
  );
  const added = steps.flatMap((step) => (step.do === 'add elements' ? step.elements : []));
  assert.deepEqual(added, [
    { key: hostU32(1), data: endpointHex(ip('10.0.0.4'), 6443) },
    // A packet that got the fourth turn from the rule of before.
    { key: hostU32(3), data: endpointHex(ip('10.0.0.1'), 6443) },
  ]);
});

test('the flow memory outlives every change of servers', () => {
  const direct = (...realServers: readonly RealServer[]): VirtualServerSpec =>
    spec('10.0.0.100', { method: 'directroute', realServers });
  const before = tablesOf([direct(server('10.0.0.1'), server('10.0.0.2'))]);
  const after = tablesOf([direct(server('10.0.0.2', { state: 'draining' }), server('10.0.0.3'))]);
  const touched = planTables(after, observedOf(before)).filter(
    (step) => 'set' in step && JSON.stringify(step.set).includes('flows'),
  );
  assert.deepEqual(touched, []);
});

test('direct return: a server that goes changes one rule and few turns, in a state that no packet falls through', () => {
  const places = new Places();
  const tables = (...addresses: readonly string[]): readonly NftTable[] => {
    const realServers = addresses.map((address) => server(address));
    const service = places.settle(translated(spec('10.0.0.100', { method: 'directroute', realServers })));
    const direct = directService(spec('10.0.0.100', { method: 'directroute', realServers: service.servers }));
    return [directReturnTable([{ ...direct, places: service.places }])].flatMap((table) => table ?? []);
  };
  const before = tables('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4');
  const after = tables('10.0.0.1', '10.0.0.3', '10.0.0.4');
  const steps = planTables(after, observedOf(before));
  const turns = after[0]?.sets.find(({ name }) => name.startsWith('turns_'))?.elements ?? [];
  // All four positions that the rules of before can ask for lead to servers that are still there.
  assert.deepEqual(
    turns.map(({ data }) => data),
    ['10.0.0.1', '10.0.0.4', '10.0.0.3', '10.0.0.1'].map((address) => hostU32(markOf(ip(address)))),
  );
  const added = steps.flatMap((step) => (step.do === 'add elements' ? step.elements : []));
  assert.deepEqual(
    added.map(({ key }) => key),
    [hostU32(1), hostU32(3)],
  );
  const rules = steps.flatMap((step) => (step.do === 'add rule' ? [step.chain] : []));
  // Neighbours are numbered by their place in the scene, so the way to the last one is another too.
  assert.deepEqual(
    rules.filter((chain) => !chain.startsWith('to_')),
    ['new_6443_10.0.0.100'],
  );
});

test('a table that was switched off, or has a chain of another kind, is made anew', () => {
  const tables = tablesOf([spec('10.0.0.100')]);
  const [observed] = observedOf(tables);
  assert.ok(observed);
  const first = (others: typeof observed): readonly string[] =>
    planTables(tables, [others])
      .slice(0, 2)
      .map((step) => step.do);
  assert.deepEqual(first({ ...observed, dormant: true }), ['delete table', 'add table']);
  const chains = observed.chains.map((chain) =>
    chain.name === 'input'
      ? { ...chain, base: { type: 'filter', hook: 'forward', priority: 0 } as const }
      : chain,
  );
  assert.deepEqual(first({ ...observed, chains }), ['delete table', 'add table']);
});

test('from any state the plan is taken by the kernel and reaches the wanted state', async () => {
  const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
  const anyServer = fc.record({
    address: fc.constantFrom(...addresses),
    state: fc.constantFrom('active' as const, 'draining' as const, 'dead' as const),
    weight: fc.integer({ min: 0, max: 3 }),
  });
  const anySpec = fc.record({
    vip: fc.constantFrom('10.0.0.100', '10.0.0.101', '10.0.0.102'),
    method: fc.constantFrom('masquerade' as const, 'directroute' as const),
    scheduler: fc.constantFrom('rr' as const, 'sh' as const),
    servers: fc.uniqueArray(anyServer, { selector: ({ address }) => address }),
  });
  const anyState = fc.uniqueArray(anySpec, { selector: ({ vip }) => vip }).map((specs) =>
    specs.map(({ vip, method, scheduler, servers }) =>
      spec(vip, {
        method,
        scheduler,
        realServers: servers.map(({ address, ...rest }) => server(address, rest)),
      }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(anyState, { minLength: 1, maxLength: 5 }), async (states) => {
      const kernel = new FakeNftables();
      for (const state of states) {
        const wanted = tablesOf(state);
        kernel.commit(planTables(wanted, await kernel.read(TABLE)));
        assert.deepEqual(planTables(wanted, await kernel.read(TABLE)), []);
        const fresh = new FakeNftables();
        fresh.commit(planTables(wanted, []));
        assert.deepEqual(kernel.show(), fresh.show());
      }
    }),
  );
});
