import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ControlPlane, EveryNode, NamedVips, RoutingTable } from '../../../src/control-plane/index.ts';
import { hostLength, ip, type Ip } from '../../../src/lib/ip.ts';
import type { NameFamilies } from '../../../src/lib/names.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { NodeStore, Spec } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const name = 'api.example';

/** A resolver that knows what the test says. */
async function scene(
  answer: readonly string[],
  families: NameFamilies = 'first',
  { fixed = [], names = [name] }: { fixed?: readonly string[]; names?: readonly string[] } = {},
) {
  const clock = new FakeClock();
  const hosts = new Map<string, readonly string[]>([[name, answer]]);
  const vips = new NamedVips(
    {
      resolve: (asked) => {
        const found = hosts.get(asked) ?? [];
        if (found.length === 0) return Promise.reject(new Error(`getaddrinfo ENOTFOUND ${asked}`));
        return Promise.resolve(found.map(ip));
      },
      clock,
      log: silentLogger,
    },
    {
      fixed: fixed.map((each) => ({ vip: ip(each), prefixLength: 24 })),
      names,
      families,
      prefixLength: hostLength,
    },
  );
  vips.start();
  await clock.advance(0);
  return {
    vips,
    clock,
    hosts,
    shown: () => vips.now().map(({ vip }) => vip as string),
  };
}

test('CP-141 the new address is there within 3 s, the old one serves for a while and is gone within 60 s', async () => {
  const { vips, clock, hosts, shown } = await scene(['192.0.2.1'], 'first', { fixed: ['192.0.2.9'] });
  let changes = 0;
  vips.follow(() => changes++);
  assert.deepEqual(shown(), ['192.0.2.9', '192.0.2.1']);
  hosts.set(name, ['192.0.2.2']);
  await clock.advance(3000);
  assert.deepEqual(shown(), ['192.0.2.9', '192.0.2.2', '192.0.2.1']);
  await clock.advance(45_000);
  assert.deepEqual(shown(), ['192.0.2.9', '192.0.2.2', '192.0.2.1']);
  await clock.advance(12_000);
  assert.deepEqual(shown(), ['192.0.2.9', '192.0.2.2']);
  assert.equal(changes, 2);
  vips.close();
  assert.deepEqual(clock.timers(), []);
});

test('CP-141 an address that comes back is one of the name again', async () => {
  const { clock, hosts, shown } = await scene(['192.0.2.1']);
  hosts.set(name, ['192.0.2.2']);
  await clock.advance(3000);
  hosts.set(name, ['192.0.2.1']);
  await clock.advance(3000);
  assert.deepEqual(shown(), ['192.0.2.1', '192.0.2.2']);
  await clock.advance(120_000);
  assert.deepEqual(shown(), ['192.0.2.1']);
});

test('CP-141 of a name that changes all the time only the last eight addresses stay', async () => {
  const { clock, hosts, shown } = await scene(['192.0.2.1']);
  for (let host = 2; host <= 20; host++) {
    hosts.set(name, [`192.0.2.${host}`]);
    await clock.advance(3000);
    assert.equal(shown()[0], `192.0.2.${host}`);
    assert.ok(shown().length <= 9, shown().join());
  }
});

test('CP-142 while the resolver fails, or has the wrong family, the VIP stays', async () => {
  const { clock, hosts, shown } = await scene(['192.0.2.1'], 'ipv4');
  hosts.set(name, []);
  await clock.advance(300_000);
  assert.deepEqual(shown(), ['192.0.2.1']);
  hosts.set(name, ['2001:db8::1']);
  await clock.advance(300_000);
  assert.deepEqual(shown(), ['192.0.2.1']);
});

test('CP-144 dns_mode says which addresses of the name become VIPs', async () => {
  const all = ['2001:db8::1', '192.0.2.1', '192.0.2.2', '2001:db8::2'];
  const cases: readonly [NameFamilies, readonly string[]][] = [
    ['first', ['2001:db8::1']],
    ['ipv4', ['192.0.2.1']],
    ['ipv6', ['2001:db8::1']],
    ['dual', ['192.0.2.1', '2001:db8::1']],
  ];
  for (const [mode, expected] of cases) {
    const { shown, vips } = await scene(all, mode);
    assert.deepEqual(shown(), expected, mode);
    for (const each of vips.now()) assert.equal(each.prefixLength, hostLength(each.vip));
  }
});

test('CP-143 a name without an address of the family is missing, and it is said why', async () => {
  const { vips } = await scene(['192.0.2.1'], 'ipv6', { names: [name, 'gone.example'] });
  assert.deepEqual(vips.missing(), [
    { name, problem: 'it has no IPv6 address' },
    { name: 'gone.example', problem: 'getaddrinfo ENOTFOUND gone.example' },
  ]);
});

const first = { vip: ip('192.0.2.1'), prefixLength: 32, isNamed: true };
const second = { vip: ip('192.0.2.2'), prefixLength: 32, isNamed: true };

function noting() {
  const happened: string[] = [];
  const lifetime = (spec: Spec): string => ('validLifetime' in spec ? `/${String(spec.validLifetime)}` : '');
  const node: NodeStore = {
    publish: (_owner, specs) => {
      happened.push(specs.map((spec) => `${spec.kind} ${spec.vip}${lifetime(spec)}`).join(', '));
    },
    withdraw: () => happened.push('withdraw'),
    isPresent: () => false,
    status: () => [],
  };
  return { node, take: () => happened.splice(0) };
}

function plane(options: { preserve?: boolean; leaseDurationMs?: number } = {}) {
  const { node, take } = noting();
  const operator = new ControlPlane(
    {
      node,
      sweep: () => undefined,
      election: { run: () => Promise.reject(new Error('not used')) } as never,
      readHolder: () => Promise.resolve(''),
      identity: 'node-a',
      clock: new FakeClock(),
      log: silentLogger,
    },
    {
      vips: [first],
      link: 'eth0',
      scope: 'global',
      noDad: false,
      reach: 'layer2',
      announcePeriodMs: 3000,
      preserve: false,
      expire: false,
      preserveStopBudgetMs: 8000,
      leftoverGraceMs: 1000,
      leaseDurationMs: 15_000,
      ...options,
    },
  );
  return { operator, take };
}

test('CP-140 a holder has VIPs of names for as long as its tenure lasts, a minute at most', () => {
  const { operator, take } = plane();
  operator.acquired({ holds: () => true });
  assert.deepEqual(take(), ['address 192.0.2.1/tenure, announcement 192.0.2.1']);
  const long = plane({ leaseDurationMs: 120_000 });
  long.operator.acquired({ holds: () => true });
  assert.deepEqual(long.take(), ['address 192.0.2.1/60, announcement 192.0.2.1']);
});

test('CP-141 only who holds takes the new VIP, also where the old one is preserved', () => {
  const { operator, take } = plane({ preserve: true });
  operator.setVips([second]);
  assert.deepEqual(take(), [], 'no VIP without the lease');
  operator.acquired({ holds: () => true });
  operator.setVips([second, first]);
  assert.match(take().at(-1) ?? '', /address 192\.0\.2\.2.*address 192\.0\.2\.1/);
  operator.lost('renew-deadline');
  assert.deepEqual(take(), ['address 192.0.2.2/60, address 192.0.2.1/60']);
  operator.setVips([{ ...first, vip: ip('192.0.2.3') }]);
  assert.deepEqual(take(), [], 'a node that lost takes no new VIP');
});

test('CP-141 BGP without election follows a name', async () => {
  const { node, take } = noting();
  const stop = new AbortController();
  const every = new EveryNode(
    { node, sweep: () => undefined, endSessions: () => Promise.resolve(), log: silentLogger },
    { vips: [first], link: 'lo', scope: 'host', noDad: false },
    true,
  );
  const done = every.run(stop.signal);
  every.setVips([second]);
  assert.deepEqual(take(), [
    'address 192.0.2.1/60, advertisement 192.0.2.1',
    'address 192.0.2.2/60, advertisement 192.0.2.2',
  ]);
  stop.abort();
  await done;
  take();
  every.setVips([first]);
  assert.deepEqual(take(), []);
});

test('CP-141 routing-table mode follows a name, and checks a family it did not have before first', async () => {
  const { node, take } = noting();
  const clock = new FakeClock();
  const stop = new AbortController();
  const served: string[] = [];
  const asked: number[] = [];
  const table = new RoutingTable(
    {
      node,
      sweep: () => undefined,
      check: (family) => {
        asked.push(family);
        return Promise.resolve(undefined);
      },
      clock,
      log: silentLogger,
      observer: { serving: (vips: readonly Ip[]) => served.push(vips.join()) },
    },
    { vips: [first], link: 'eth0', scope: 'global', noDad: true, periodMs: 5000, timeoutMs: 1000 },
  );
  const done = table.run(stop.signal);
  await clock.advance(100);
  take();
  table.setVips([second]);
  assert.deepEqual(take(), ['address 192.0.2.2/60, route 192.0.2.2']);
  table.setVips([second, { vip: ip('2001:db8::2'), prefixLength: 128, isNamed: true }]);
  assert.deepEqual(take(), ['address 192.0.2.2/60, route 192.0.2.2']);
  await clock.advance(100);
  assert.match(take().at(-1) ?? '', /route 2001:db8::2/);
  assert.deepEqual(asked, [4, 4, 6]);
  assert.deepEqual(served, ['192.0.2.1', '192.0.2.2', '192.0.2.2,2001:db8::2']);
  stop.abort();
  await done;
});
