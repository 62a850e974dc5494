import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import type { Campaigns } from '../../../src/services/campaigns.ts';
import { Succession } from '../../../src/services/succession.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { World, type TestNode } from './scene.ts';

const each = { perServiceElection: true };
const on = (name: string): { readonly created: string } => ({
  created: name === 'older' ? '2026-01-01T00:00:00Z' : '2026-01-02T00:00:00Z',
});

/** Two nodes, two Services: `older` with .1 on node b, `newer` with .2 on node a. */
async function worldOf(options: ConstructorParameters<typeof World>[0] = each): Promise<World> {
  const world = new World(options);
  await world.add('b');
  world.serve({ name: 'older', vip: '192.0.2.1', ...on('older') });
  await world.run(400);
  await world.add('a');
  await world.run(400);
  const [b] = world.nodes;
  assert.ok(b !== undefined);
  b.isDeaf = true;
  world.serve({ name: 'newer', vip: '192.0.2.2', port: 81, ...on('newer') });
  await world.run(400);
  b.isDeaf = false;
  world.serve({ name: 'newer', vip: '192.0.2.2', port: 81, ...on('newer') });
  await world.run(1200);
  assert.deepEqual([world.holders('192.0.2.1'), world.holders('192.0.2.2')], [['b'], ['a']]);
  return world;
}

function nodeOf(world: World, name: string): TestNode {
  const node = world.nodes.find((candidate) => candidate.name === name);
  assert.ok(node !== undefined);
  return node;
}

/** `older` wants the address of `newer`, whose lease decided about it. */
function giveToOlder(world: World): void {
  world.put({ name: 'older', vip: '192.0.2.2', ...on('older') });
}

/** The same, and `newer` goes. */
function handOver(world: World): void {
  giveToOlder(world);
  world.remove('newer');
}

/** No address was on two nodes, at any time. */
async function end(world: World): Promise<void> {
  assert.deepEqual(world.doubles, []);
  await world.close();
}

/** No call gets through, and nothing is heard. */
function cutOff(world: World, name: string): void {
  const node = nodeOf(world, name);
  node.isCutOff = true;
  node.isDeaf = true;
}

describe('an address that another lease decides about from now on', () => {
  test('is taken when its former holder has let go, which is at once', async () => {
    const world = await worldOf();
    const [b] = world.nodes;
    giveToOlder(world);
    assert.equal(b?.has('192.0.2.2'), false, 'not in the moment of the change');
    await world.run(200);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    assert.equal(world.holderOf('shop/kubevip-newer'), 'b', 'nobody else can have the address by it');
    await world.run(17_000);
    assert.equal(world.holderOf('shop/kubevip-newer'), '', 'the heir has let go as well');
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    await end(world);
  });

  test('is not taken from a holder that is cut off before that must have lost it', async () => {
    const world = await worldOf();
    cutOff(world, 'a');
    giveToOlder(world);
    await world.run(2000);
    assert.deepEqual(world.holders('192.0.2.2'), ['a']);
    await world.run(5000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    await end(world);
  });

  test('the rest of a Service does not wait for it', async () => {
    const world = await worldOf();
    cutOff(world, 'a');
    world.put({ name: 'older', vip: '192.0.2.1,192.0.2.2,192.0.2.3', ...on('older') });
    await world.run(100);
    assert.deepEqual(nodeOf(world, 'b').vips(), ['192.0.2.1/32@eth0', '192.0.2.3/32@eth0']);
    assert.match(nodeOf(world, 'b').statuses.at(-1) ?? '', /^shop\/older 192\.0\.2\.1:80,192\.0\.2\.3:80$/);
    await world.run(7000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    assert.match(nodeOf(world, 'b').statuses.at(-1) ?? '', /192\.0\.2\.2/);
    await end(world);
  });

  test('a deleted Service and a new one with its address: as careful', async () => {
    const world = await worldOf();
    cutOff(world, 'a');
    world.remove('newer');
    world.serve({ name: 'next', vip: '192.0.2.2', created: '2026-01-03T00:00:00Z' });
    await world.run(7000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    await end(world);
  });

  test('a deleted Service and a new one with its address, everybody well: taken at once', async () => {
    const world = await worldOf();
    world.remove('newer');
    world.serve({ name: 'next', vip: '192.0.2.2', created: '2026-01-03T00:00:00Z' });
    await world.run(400);
    assert.equal(world.holders('192.0.2.2').length, 1);
    await end(world);
  });

  test('of a Service that was made and got another lease unheard: its own is waited for', async () => {
    const world = new World(each);
    for (const name of ['a', 'b']) await world.add(name);
    await world.run(400);
    const [a, b] = world.nodes;
    assert.ok(a !== undefined && b !== undefined);
    b.isDeaf = true;
    world.serve({ name: 'late', vip: '192.0.2.7' });
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.7'), ['a']);
    a.isDeaf = true;
    const annotations = { 'kube-vip.io/leaseName': 'common', 'kube-vip.io/vipHost': 'a' };
    world.put({ name: 'late', vip: '192.0.2.7', annotations });
    world.catchUp(b);
    world.endpoints('late', 'a', 'b');
    await world.run(2000);
    assert.deepEqual(world.holders('192.0.2.7'), ['a'], 'who has not heard of the change');
    assert.equal(world.holderOf('shop/common'), 'b');
    world.catchUp(a);
    await world.run(200);
    assert.deepEqual(world.holders('192.0.2.7'), ['b']);
    await end(world);
  });

  test('two changes that are looked at together: the lease in between counts', async () => {
    const world = new World({ ...each, debounceMs: 300 });
    for (const name of ['a', 'b']) await world.add(name);
    await world.run(400);
    const [a, b] = world.nodes;
    assert.ok(a !== undefined && b !== undefined);
    world.serve({ name: 'quick', vip: '192.0.2.8' });
    await world.run(250);
    const annotations = { 'kube-vip.io/leaseName': 'common' };
    world.put({ name: 'quick', vip: '192.0.2.8', annotations });
    await world.run(400);
    assert.ok(world.leaseNames().includes('shop/kubevip-quick'), 'an heir asks for it');
    assert.equal(world.holders('192.0.2.8').length, 1);
    await end(world);
  });

  test('a lease that others still need: the address waits until everybody must have heard of it', async () => {
    const world = await worldOf();
    const annotations = { 'kube-vip.io/leaseName': 'common' };
    world.put({ name: 'newer', vip: '192.0.2.2', port: 81, annotations, ...on('newer') });
    await world.run(2000);
    world.serve({ name: 'third', vip: '192.0.2.4', annotations, ...on('newer') });
    await world.run(400);
    assert.deepEqual([world.holders('192.0.2.2'), world.holders('192.0.2.4')], [['a'], ['a']]);
    giveToOlder(world);
    await world.run(15_800);
    assert.deepEqual(world.holders('192.0.2.2'), []);
    await world.run(1000);
    assert.deepEqual([world.holders('192.0.2.2'), world.holders('192.0.2.4')], [['b'], ['a']]);
    await end(world);
  });
});

/**
 * The address .2 goes from the lease of `newer`, on node a, to that of `older`, on node b; what node `stale` should
 * hear of it, it does not.
 */
async function moved(stale: string): Promise<{ world: World; stale: TestNode }> {
  const world = await worldOf();
  if (stale === 'c') {
    await world.add('c');
    await world.run(400);
  }
  const node = nodeOf(world, stale);
  node.isDeaf = true;
  return { world, stale: node };
}

describe('a node whose Services are old news', () => {
  test('cut off, and back: it wins the lease that decided about the address, and lists before it acts', async () => {
    const { world, stale } = await moved('a');
    stale.isCutOff = true;
    handOver(world);
    await world.run(60_000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    stale.isCutOff = false;
    await world.run(3000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    assert.equal(stale.refreshes, 1);
    assert.deepEqual(stale.vips(), []);
    await end(world);
  });

  test('cut off for a moment, and back: the lease that decided about the address is not to be had', async () => {
    const { world, stale } = await moved('a');
    stale.isCutOff = true;
    handOver(world);
    await world.run(8000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    stale.isCutOff = false;
    await world.run(5000);
    assert.equal(world.holderOf('shop/kubevip-newer'), 'b');
    world.catchUp(stale);
    await world.run(10_000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    await end(world);
  });

  test('cut off for a moment, and back, beside a node that came later: it lists before it acts', async () => {
    const world = new World(each);
    const stale = await world.add('a');
    world.serve({ name: 'newer', vip: '192.0.2.2' });
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.2'), ['a']);
    cutOff(world, 'a');
    world.remove('newer');
    await world.run(5000);
    // It knows of no former lease, for it was not there when there was one.
    await world.add('b');
    world.serve({ name: 'older', vip: '192.0.2.2' });
    await world.run(600);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    stale.isCutOff = false;
    await world.run(3000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    assert.equal(stale.refreshes, 1);
    await end(world);
  });

  test('a holder whose watch is deaf keeps the address until it hears, and nobody takes it before', async () => {
    const { world, stale } = await moved('a');
    handOver(world);
    await world.run(14_000);
    assert.deepEqual(world.holders('192.0.2.2'), ['a']);
    world.catchUp(stale);
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    await end(world);
  });

  test('a holder that never hears of it keeps the address, as nobody else needs its lease', async () => {
    const { world, stale } = await moved('a');
    handOver(world);
    await world.run(40_000);
    assert.deepEqual(world.holders('192.0.2.2'), ['a']);
    stale.die();
    await world.run(7000);
    assert.equal(nodeOf(world, 'b').has('192.0.2.2'), true);
    await world.close(); // A dead node still has its addresses.
  });

  test('a candidate whose watch is deaf does not get the lease that a healthy holder lets go', async () => {
    const { world, stale } = await moved('c');
    handOver(world);
    await world.run(13_000);
    world.catchUp(stale);
    await world.run(10_000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    await end(world);
  });

  test('a candidate that gets it first has the address until it hears', async () => {
    const { world, stale } = await moved('c');
    stale.luck = 0;
    handOver(world);
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.2'), ['c']);
    await world.run(5000);
    assert.deepEqual(world.holders('192.0.2.2'), ['c']);
    world.catchUp(stale);
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    await end(world);
  });

  test('a new holder that loses the former lease gives the address back', async () => {
    const { world } = await moved('c');
    handOver(world);
    await world.run(1000);
    if (world.holderOf('shop/kubevip-newer') === 'c') {
      world.catchUp(nodeOf(world, 'c'));
      await world.run(1000);
    }
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    const lease = world.lease('shop/kubevip-newer');
    const { record } = lease.read();
    lease.put({ ...record, holderIdentity: 'thief', leaseTransitions: record.leaseTransitions + 1 });
    assert.deepEqual(world.holders('192.0.2.2'), []);
    await end(world);
  });

  test('yields an address that another station has, and asks for what it may have missed', async () => {
    const { world, stale } = await moved('a');
    await world.run(15_100);
    stale.isCutOff = true;
    stale.operator.claimedElsewhere(ip('192.0.2.2'), 'eth0', '02:00:00:00:00:01');
    assert.deepEqual(stale.vips(), []);
    assert.equal(stale.refreshes, 1);
    stale.isCutOff = false;
    stale.isDeaf = false;
    await world.run(200);
    assert.deepEqual(stale.vips(), ['192.0.2.2/32@eth0'], 'it was right all the time');
    await end(world);
  });

  test('with recent news it does not yield, and looks whether there is more, once in a while', async () => {
    const { world, stale } = await moved('a');
    await world.run(2000);
    for (const mac of ['02:00:00:00:00:01', '02:00:00:00:00:02'])
      stale.operator.claimedElsewhere(ip('192.0.2.2'), 'eth0', mac);
    assert.deepEqual([stale.vips(), stale.refreshes], [['192.0.2.2/32@eth0'], 1]);
    await world.run(200);
    assert.deepEqual(stale.vips(), ['192.0.2.2/32@eth0']);
    await end(world);
  });

  test('what it has it keeps; what is new it takes when the news is confirmed', async () => {
    const { world, stale } = await moved('a');
    await world.run(20_000);
    assert.deepEqual(stale.vips(), ['192.0.2.2/32@eth0']);
    // One event comes through, nothing says that it is the last one.
    stale.isCutOff = true;
    stale.isDeaf = false;
    stale.provenAt = world.clock.now() - 20_000;
    world.put({ name: 'newer', vip: '192.0.2.2,192.0.2.7', port: 81, ...on('newer') });
    assert.deepEqual(stale.vips(), ['192.0.2.2/32@eth0']);
    stale.isDeaf = true;
    stale.isCutOff = false;
    await world.run(40);
    assert.deepEqual(stale.vips(), ['192.0.2.2/32@eth0', '192.0.2.7/32@eth0']);
    await end(world);
  });

  test('that cannot learn more makes way for one that does', async () => {
    const world = await worldOf();
    const [b] = world.nodes;
    nodeOf(world, 'a').stop.abort();
    assert.ok(b !== undefined);
    b.isDeaf = true;
    b.provenAt = -20_000;
    b.canList = false;
    await world.run(200);
    assert.equal(world.holderOf('shop/kubevip-newer'), 'b');
    assert.deepEqual(world.holders('192.0.2.2'), []);
    await world.add('c');
    await world.run(3500);
    assert.deepEqual(world.holders('192.0.2.2'), ['c']);
    assert.deepEqual(world.holders('192.0.2.1'), ['b'], 'what it has had all the time');
    await end(world);
  });
});

test('an address that many have one after the other is with each at once: what a node inherited it leaves to the next', async () => {
  const world = new World(each);
  for (const name of ['a', 'b', 'c']) await world.add(name);
  await world.run(17_000);
  for (const [i, name] of ['one', 'two', 'three', 'four', 'five'].entries()) {
    const node = ['a', 'b', 'c'][i % 3] ?? '';
    world.endpoints(name, node);
    world.put({ name, vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), [node], name);
    if (i < 4) world.remove(name);
    await world.run(200);
  }
  // Endpoints that go away leave it, too.
  world.endpoints('five', 'a');
  await world.run(1500);
  assert.deepEqual(world.holders('192.0.2.1'), ['a']);
  await end(world);
});

test('a failover between nodes that are well asks for no list', async () => {
  const world = await worldOf();
  await world.run(13_000);
  nodeOf(world, 'a').die();
  await world.run(6000);
  assert.deepEqual(nodeOf(world, 'b').vips(), ['192.0.2.1/32@eth0', '192.0.2.2/32@eth0']);
  assert.equal(nodeOf(world, 'b').refreshes, 0);
  await world.close(); // A dead node still has its addresses.
});

test('an address that goes to another lease and back waits for that other one only', () => {
  const asked: string[] = [];
  const campaigns = {
    get: () => undefined,
    join: (lease: string) => asked.push(lease),
    leave: () => undefined,
    isPinned: () => false,
  };
  const succession = new Succession({
    campaigns: campaigns as unknown as Campaigns,
    clock: new FakeClock(),
    look: () => undefined,
  });
  const vips = [ip('192.0.2.1')] as const;
  for (const lease of ['shop/a', 'shop/b', 'shop/a']) succession.observe('shop/web', { lease, vips });
  assert.equal(succession.mayTake('shop/web', vips[0], 'shop/a'), false, 'somebody may have it by b');
  assert.deepEqual(asked, ['shop/b']);
  succession.close();
});
