import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElection } from '../../../src/election/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { memoryLeaseStore } from '../../../src/testing/memory-lease.ts';
import { World } from './scene.ts';

async function worldOf(options: ConstructorParameters<typeof World>[0] = {}): Promise<World> {
  const world = new World(options);
  for (const name of ['a', 'b']) await world.add(name);
  await world.run(400);
  return world;
}

const notices = (world: World): readonly string[] =>
  world.nodes.flatMap(({ name, story }) =>
    story.filter((line) => line.startsWith('!')).map((line) => `${name} ${line}`),
  );

test('SVC-11 a Service without address waits, delays nobody, and is taken up when one appears', async () => {
  const world = await worldOf();
  world.serve({ name: 'bare', vip: '' });
  world.serve({ name: 'web', vip: '192.0.2.1' });
  assert.deepEqual(world.holders('192.0.2.1'), ['a']);
  await world.clock.advance(29_000);
  assert.deepEqual(notices(world), []);
  await world.clock.advance(2000);
  assert.deepEqual(notices(world), ['a ! bare NoAddress']);
  world.put({ name: 'bare', vip: '192.0.2.2' });
  assert.deepEqual(world.holders('192.0.2.2'), ['a']);
  await world.close();
});

test('an annotation that is there and empty is named: nothing else is looked at because of it', async () => {
  const world = await worldOf();
  const annotations = { 'kube-vip.io/loadbalancerIPs': ' ' };
  world.serve({ name: 'emptied', vip: '', annotations, spec: { loadBalancerIP: '192.0.2.1' } });
  await world.clock.advance(31_000);
  assert.deepEqual(notices(world), ['a ! emptied NoAddress']);
  assert.match(
    world.nodes[0]?.told.join() ?? '',
    /^emptied NoAddress kube-vip\.io\/loadbalancerIPs is empty, and nothing else is looked at while it is there/,
  );
  await world.close();
});

test('what a user must know is told once, by the holder, and hurts no other Service', async () => {
  const world = await worldOf();
  world.nodes[0]?.kernel.putAddress('eth0', '192.0.2.9', 24, { preferredLifetime: undefined });
  await world.run(100);
  const bad: readonly [string, string, Record<string, string>][] = [
    ['own', '192.0.2.9', {}],
    ['link', '192.0.2.2', { 'kube-vip.io/serviceInterface': 'eth7' }],
    ['vlan', '192.0.2.3', { 'kube-vip.io/serviceVLAN': 'eth0.7' }],
    ['dhcp', '0.0.0.0', {}],
    ['host', 'www.example', {}],
    ['egress', '192.0.2.4', { 'kube-vip.io/egress': 'true' }],
  ];
  for (const [name, vip, annotations] of bad) {
    world.serve({ name, vip, annotations });
    world.serve({ name, vip, annotations });
  }
  world.serve({ name: 'web', vip: '192.0.2.1' });
  await world.run(200);
  assert.deepEqual(notices(world), [
    'a ! own AddressInUse',
    'a ! link NoLink',
    'a ! vlan NotImplemented',
    'a ! dhcp NotImplemented',
    'a ! egress NotImplemented',
    'a ! host NameNotResolved',
  ]);
  assert.deepEqual(world.nodes[0]?.vips(), ['192.0.2.1/32@eth0', '192.0.2.4/32@eth0']);
  await world.close();
});

test('what was there before a holder was is told by the first one, and what came without one, too', async () => {
  const world = new World();
  world.serve({ name: 'early', vip: '224.0.0.1' });
  world.serve({ name: 'bare', vip: '' });
  for (const name of ['a', 'b']) await world.add(name);
  await world.run(400);
  assert.deepEqual(notices(world), ['a ! early InvalidAddress']);
  world.remove('early');
  world.nodes[0]?.die();
  world.serve({ name: 'between', vip: '224.0.0.2' });
  await world.clock.advance(10_000);
  assert.deepEqual(
    notices(world).filter((line) => line.startsWith('b')),
    ['b ! between InvalidAddress'],
  );
  await world.close();
});

test('what was well in between is told again when it comes back', async () => {
  const world = await worldOf();
  const bad = { name: 'web', vip: '192.0.2.1', annotations: { 'kube-vip.io/serviceInterface': 'eth7' } };
  world.serve(bad);
  world.endpoints('web');
  world.serve(bad);
  assert.deepEqual(notices(world), ['a ! web NoLink'], 'endpoints that come and go change nothing about it');
  world.serve({ name: 'web', vip: '192.0.2.1' });
  world.serve(bad);
  assert.deepEqual(notices(world), ['a ! web NoLink', 'a ! web NoLink']);
  await world.close();
});

test('a class that is not ours is told when nobody has served the Service for a while', async () => {
  const world = await worldOf();
  const spec = { loadBalancerClass: 'kube-vip.io/other' };
  world.serve({ name: 'mine', vip: '192.0.2.1', spec });
  world.serve({ name: 'served', vip: '192.0.2.2', spec, ingress: ['192.0.2.2'] });
  world.serve({ name: 'late', vip: '192.0.2.3', spec });
  await world.clock.advance(20_000);
  world.serve({ name: 'late', vip: '192.0.2.3', spec, ingress: ['192.0.2.3'] });
  world.serve({ name: 'mine', vip: '192.0.2.1', spec });
  await world.clock.advance(11_000);
  assert.deepEqual(notices(world), ['a ! mine ClassMismatch']);
  assert.match(
    world.nodes[0]?.told.join() ?? '',
    /spec\.loadBalancerClass: class kube-vip\.io\/other, wanted/,
  );
  await world.close();
});

test('a Local Service without an endpoint on the one holder of all is told, by that holder', async () => {
  const world = await worldOf();
  world.endpoints('web', 'b');
  world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
  world.put({ name: 'idle', vip: '192.0.2.2', policy: 'Local' });
  world.endpoints('short', 'b');
  world.put({ name: 'short', vip: '192.0.2.3', policy: 'Local' });
  await world.clock.advance(20_000);
  world.endpoints('short', 'a');
  await world.clock.advance(11_000);
  assert.deepEqual(notices(world), ['a ! web NoLocalEndpoint']);
  const each = await worldOf({ perServiceElection: true });
  each.endpoints('web', 'b');
  each.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
  await each.clock.advance(31_000);
  assert.deepEqual(notices(each), []);
  assert.deepEqual(each.holders('192.0.2.1'), ['b']);
  await world.close();
  await each.close();
});

test('SVC-38 an invalid combination of lease and policy is counted as invalid_config', async () => {
  const world = await worldOf();
  world.endpoints('web', 'a');
  const annotations = { 'kube-vip.io/leaseName': 'common' };
  world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local', annotations });
  assert.ok(world.nodes[0]?.story.includes('failure shop/web invalid_config'));
  assert.deepEqual(notices(world), ['a ! web InvalidLeasePolicy']);
  assert.deepEqual(world.holders('192.0.2.1'), []);
  await world.close();
});

test('a link that comes later is used as soon as it is there', async () => {
  const world = await worldOf();
  world.serve({ name: 'web', vip: '192.0.2.1', annotations: { 'kube-vip.io/serviceInterface': 'eth7' } });
  assert.deepEqual(world.holders('192.0.2.1'), []);
  world.nodes[0]?.kernel.addLink({ name: 'eth7' });
  await world.run(100);
  assert.deepEqual(world.nodes[0]?.vips(), ['192.0.2.1/32@eth7']);
  await world.close();
});

test('leftovers: swept when the lease names another node, at once; with nobody named after a grace', async () => {
  const world = await worldOf();
  world.serve({ name: 'web', vip: '192.0.2.1' });
  const kernel = world.newKernel();
  for (const vip of ['192.0.2.1', '192.0.2.77'])
    kernel.putAddress('eth0', vip, 32, { preferredLifetime: 0, protocol: 249 });
  kernel.putAddress('eth0', '192.0.2.99', 32, { preferredLifetime: 0, protocol: 248 });
  const late = await world.addUnsynced('c', kernel);
  await world.run(400);
  assert.deepEqual(late.vips(), ['192.0.2.99/32@eth0'], 'that of another program stays');
  await world.close();
});

test('leftovers: a node that is told to end before it knows of any Service leaves none', async () => {
  const world = await worldOf();
  const kernel = world.newKernel();
  for (const [vip, protocol] of [
    ['192.0.2.1', 249],
    ['192.0.2.99', 248],
  ] as const)
    kernel.putAddress('eth0', vip, 32, { preferredLifetime: 0, protocol });
  const late = await world.addUnsynced('c', kernel);
  late.stop.abort();
  await late.ended;
  assert.deepEqual(late.vips(), ['192.0.2.99/32@eth0'], 'that of another program stays');
  await world.close();
});

test('a holder sweeps what no Service wants any more', async () => {
  const world = await worldOf();
  world.serve({ name: 'web', vip: '192.0.2.1' });
  const kernel = world.newKernel();
  kernel.putAddress('eth0', '192.0.2.77', 32, { preferredLifetime: 0, protocol: 249 });
  const alone = new World();
  alone.serve({ name: 'web', vip: '192.0.2.1' });
  const node = await alone.add('a', kernel);
  await alone.run(400);
  assert.deepEqual(node.vips(), ['192.0.2.1/32@eth0']);
  await alone.close();
  await world.close();
});

const states = (world: World, node: number): readonly string[] =>
  [...(world.nodes[node]?.operator.services() ?? [])].map(({ service, state }) => `${service} ${state}`);

/** Somebody who holds a lease and serves nothing: a control plane, another program. */
async function hold(world: World, lease: string): Promise<AbortController> {
  const stop = new AbortController();
  const election = createElection(
    {
      store: memoryLeaseStore(world.lease(lease), { name: lease }),
      clock: world.clock,
      random: () => 0.5,
      log: silentLogger,
    },
    { identity: 'stranger', leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 },
  );
  const listener = { acquired: () => undefined, lost: () => undefined, observed: () => undefined };
  void election.run(listener, stop.signal);
  await world.run(100);
  return stop;
}

test('a Service whose lease somebody holds who does not serve it is told so, with the lease and the holder', async () => {
  const world = await worldOf({ perServiceElection: true });
  const stop = await hold(world, 'kube-system/plndr-cp-lock');
  const annotations = { 'kube-vip.io/leaseName': 'kube-system/plndr-cp-lock' };
  world.serve({ name: 'web', vip: '192.0.2.1', annotations });
  world.serve({ name: 'own', vip: '192.0.2.2' });
  const host = { 'kube-vip.io/vipHost': 'stranger' };
  world.serve({ name: 'served', vip: '192.0.2.3', annotations: { ...annotations, ...host } });
  await world.clock.advance(25_000);
  assert.deepEqual(notices(world), []);
  await world.clock.advance(300_000);
  assert.deepEqual(notices(world), ['a ! web LeaseHeldElsewhere', 'b ! web LeaseHeldElsewhere']);
  assert.match(
    world.nodes[0]?.told.join() ?? '',
    /leaseName: lease kube-system\/plndr-cp-lock is held by stranger, which has not said that it serves this Service: name/,
  );
  assert.ok(
    states(world, 0).includes(
      'shop/web held by stranger, which has not taken it up: lease kube-system/plndr-cp-lock',
    ),
  );
  assert.ok(states(world, 0).includes('shop/served held by stranger'));
  world.serve({ name: 'web', vip: '192.0.2.1', annotations });
  await world.clock.advance(300_000);
  assert.equal(notices(world).length, 2, 'each thing once');
  stop.abort();
  await world.close();
});

test('one that shares its lease with a Service of the same nodes is told nothing, however often it moves', async () => {
  const world = await worldOf({ perServiceElection: true });
  await world.add('c');
  const annotations = { 'kube-vip.io/leaseName': 'common', 'kube-vip.io/vipHost': 'a' };
  world.serve({ name: 'web', vip: '192.0.2.1', annotations });
  await world.clock.advance(22_000);
  world.nodes[0]?.die();
  await world.clock.advance(10_000);
  const next = world.holderOf('shop/common') ?? '';
  assert.notEqual(next, 'a');
  const moved = { ...annotations, 'kube-vip.io/vipHost': next };
  world.serve({ name: 'web', vip: '192.0.2.1', annotations: moved });
  await world.clock.advance(300_000);
  assert.deepEqual(notices(world), []);
  await world.close();
});

test('a Local Service whose lease is held here for another one, while others have its endpoints, is told by this node', async () => {
  const world = await worldOf({ electionOnDemand: true });
  const forced = { 'kube-vip.io/forcePerServiceElection': 'true' };
  const named = { ...forced, 'kube-vip.io/leaseName': 'kubevip-web' };
  const [a] = world.nodes;
  if (a !== undefined) a.isDeaf = true;
  world.serve({ name: 'other', vip: '192.0.2.2', annotations: named });
  await world.run(2000);
  if (a !== undefined) world.catchUp(a);
  assert.equal(world.holderOf('shop/kubevip-web'), 'b');
  assert.equal(world.holderOf('kube-system/plndr-svcs-lock'), 'a');
  world.endpoints('web', 'a');
  world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local', annotations: forced });
  await world.clock.advance(25_000);
  assert.deepEqual(notices(world), []);
  await world.clock.advance(300_000);
  assert.deepEqual(notices(world), ['b ! web NoLocalEndpoint']);
  assert.match(
    world.nodes[1]?.told.join() ?? '',
    /no serving endpoint on b, which holds shop\/kubevip-web for another Service; other nodes have one/,
  );
  assert.ok(
    states(world, 1).includes(
      'shop/web no-local-endpoint (no serving endpoint on b, which holds shop/kubevip-web)',
    ),
  );
  await world.close();
});
