import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recordOf } from '../../../src/testing/contract/election-subject.ts';
import { settleMs } from '../../../src/services/settling.ts';
import { World, type TestNode } from './scene.ts';

const each = { perServiceElection: true };
const shared = (name: string): Record<string, string> => ({ 'kube-vip.io/leaseName': name });

async function worldOf(
  count: number,
  options: ConstructorParameters<typeof World>[0] = each,
): Promise<World> {
  const world = new World(options);
  for (const name of ['a', 'b', 'c'].slice(0, count)) await world.add(name);
  await world.run(400);
  return world;
}

function nodeOf(world: World, name: string | undefined): TestNode {
  const node = world.nodes.find((candidate) => candidate.name === name);
  assert.ok(node !== undefined, `no node ${name ?? '(nobody)'}`);
  return node;
}

describe('a lease for each Service', () => {
  test('ELE-02 it is kubevip-<name> in the namespace of the Service, and names the node', async () => {
    const world = await worldOf(3);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    await world.run(400);
    assert.deepEqual(world.leaseNames(), ['shop/kubevip-web']);
    assert.deepEqual(world.holders('192.0.2.1'), [world.holderOf('shop/kubevip-web')]);
    world.remove('web');
    await world.run(100);
    assert.equal(world.holderOf('shop/kubevip-web'), '', 'released with the Service');
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('ELE-07 a lost lease takes the VIP away at once, and the node campaigns again', async () => {
    const world = await worldOf(1);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    await world.run(400);
    world.lease('shop/kubevip-web').put(recordOf('somebody', { leaseDurationSeconds: 2 }));
    assert.deepEqual(world.holders('192.0.2.1'), []);
    await world.run(6000);
    assert.deepEqual(world.holders('192.0.2.1'), ['a']);
    await world.close();
  });

  test('ELE-08 a deleted lease and a blanked holder converge to one holder', async () => {
    const world = await worldOf(3);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    await world.run(400);
    world.lease('shop/kubevip-web').delete();
    await world.run(6000);
    assert.equal(world.holders('192.0.2.1').length, 1);
    world.lease('shop/kubevip-web').put(recordOf(''));
    await world.run(6000);
    assert.deepEqual(world.holders('192.0.2.1'), [world.holderOf('shop/kubevip-web')]);
    await world.close();
  });

  test('ELE-09 with Local a node without endpoint does not campaign; the lease follows the endpoint', async () => {
    const world = await worldOf(3);
    world.endpoints('web', 'b');
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    world.endpoints('web', 'c');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['c']);
    world.endpoints('web');
    await world.run(400);
    assert.equal(world.holderOf('shop/kubevip-web'), '');
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a holder whose last endpoint is terminating hands over while it still serves', async () => {
    const world = await worldOf(2);
    world.endpoints('web', 'a');
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    world.endpoints('web', '~a');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['a'], 'nobody else is ready');
    world.endpoints('web', '~a', 'b');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['a'], 'the kube-proxy of b may not know it yet');
    await world.run(settleMs);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a holder steps back for a moment for a node that has an endpoint, and takes up again when nobody came', async () => {
    const world = await worldOf(3);
    world.endpoints('web', 'a', 'elsewhere');
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    world.endpoints('web', '~a', 'elsewhere', 'b');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), [], 'this program might run there');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['a'], 'it does not, and b is new');
    await world.run(settleMs);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    await world.run(5000);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    world.endpoints('web', 'a', 'elsewhere');
    await world.run(400);
    world.endpoints('web', '~a', 'elsewhere', 'c');
    await world.run(50);
    assert.deepEqual(world.holders('192.0.2.1'), ['a'], 'it has learned that nobody is there');
    await world.run(settleMs + 400);
    assert.deepEqual(world.holders('192.0.2.1'), ['c']);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a node that did not come once is asked again when it has been seen', async () => {
    const world = await worldOf(1);
    world.endpoints('web', 'a', 'b');
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    world.endpoints('web', '~a', 'b');
    await world.run(1000);
    assert.deepEqual(world.holders('192.0.2.1'), ['a'], 'b is not there yet');
    await world.add('b');
    await world.run(400);
    world.serve({ name: 'other', vip: '192.0.2.2', annotations: { 'kube-vip.io/vipHost': 'b' } });
    world.endpoints('web', 'a', 'b');
    await world.run(settleMs + 100);
    world.endpoints('web', '~a', 'b');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    await world.close();
  });

  test('a node that did not hold does not come into the race with an endpoint that is terminating', async () => {
    const world = await worldOf(3);
    world.endpoints('web', 'a', 'b', 'c');
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    const [holder = ''] = world.holders('192.0.2.1');
    const [leaving = '', staying = ''] = ['a', 'b', 'c'].filter((node) => node !== holder);
    world.endpoints('web', holder, `~${leaving}`, staying);
    await world.run(2000);
    assert.deepEqual([...nodeOf(world, leaving).operator.leases()], []);
    world.endpoints('web', `~${holder}`, `~${leaving}`, staying);
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), [staying]);
    await world.close();
  });

  test('the VIP moves to a node whose endpoint is settled, not to the newest one', async () => {
    const world = await worldOf(3);
    world.endpoints('web', 'a');
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    world.endpoints('web', 'a', 'c');
    await world.run(settleMs + 100);
    world.endpoints('web', '~a', 'b', 'c');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['c'], 'at once');
    world.endpoints('web', 'b', '~c');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['c'], 'b came a moment ago');
    world.endpoints('web', 'b');
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['b'], 'nobody else is left');
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a node that is not settled does not campaign while another serves', async () => {
    const world = await worldOf(2);
    world.endpoints('web', 'a');
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    world.endpoints('web', 'a', 'b');
    await world.run(400);
    nodeOf(world, 'a').stop.abort();
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), [], 'b waits');
    await world.run(settleMs);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    await world.close();
  });

  test('what is there when a Service is first seen counts as settled', async () => {
    const world = await worldOf(2);
    world.endpoints('web', '~a', 'b');
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    await world.close();
  });

  test('ELE-10 SVC-34 a stopping node takes its VIPs away and releases every lease', async () => {
    const world = await worldOf(1);
    for (const n of [1, 2, 3]) world.serve({ name: `s${n}`, vip: `192.0.2.${n}` });
    await world.run(400);
    const node = nodeOf(world, 'a');
    assert.equal(node.vips().length, 3);
    node.stop.abort();
    await world.clock.flush();
    assert.deepEqual(node.vips(), [], 'at once');
    await world.run(100);
    assert.deepEqual(
      world.leaseNames().map((name) => world.holderOf(name)),
      ['', '', ''],
    );
  });
});

describe('a lease that Services share', () => {
  test('ELE-03 leaseName names it, in the own namespace or another', async () => {
    const world = await worldOf(2);
    world.serve({ name: 'one', vip: '192.0.2.1', annotations: shared('common') });
    world.serve({ name: 'two', vip: '192.0.2.2', annotations: shared('common') });
    world.serve({ name: 'far', vip: '192.0.2.3', annotations: shared('infra/edge') });
    await world.run(400);
    assert.deepEqual(world.leaseNames(), ['infra/edge', 'shop/common']);
    assert.deepEqual(world.holders('192.0.2.1'), world.holders('192.0.2.2'));
    await world.close();
  });

  test('ELE-04 it outlives a member and is released with the last', async () => {
    const world = await worldOf(1);
    world.serve({ name: 'one', vip: '192.0.2.1', annotations: shared('common') });
    world.serve({ name: 'two', vip: '192.0.2.2', annotations: shared('common') });
    await world.run(400);
    world.remove('one');
    await world.run(200);
    assert.equal(world.holderOf('shop/common'), 'a');
    assert.deepEqual(nodeOf(world, 'a').vips(), ['192.0.2.2/32@eth0']);
    world.remove('two');
    await world.run(200);
    assert.equal(world.holderOf('shop/common'), '');
    await world.close();
  });

  test('an edited leaseName moves the Service to the other lease without a gap', async () => {
    const world = await worldOf(3);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    await world.run(400);
    const [holder] = world.holders('192.0.2.1');
    const gone = countGone(nodeOf(world, holder), '192.0.2.1');
    world.put({ name: 'web', vip: '192.0.2.1', annotations: shared('common') });
    await world.run(1000);
    assert.equal(world.holderOf('shop/common'), holder);
    assert.equal(world.holderOf('shop/kubevip-web'), holder, 'as long as others may believe in it');
    await world.run(17_000);
    assert.equal(world.holderOf('shop/kubevip-web'), '');
    assert.equal(gone(), 0);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });
});

describe('an address that Services share', () => {
  test('they have one holder, by the lease of the oldest', async () => {
    const world = await worldOf(3);
    world.serve({ name: 'b-old', vip: '192.0.2.1', created: '2026-01-01T00:00:00Z' });
    world.serve({ name: 'a-new', vip: '192.0.2.1,192.0.2.2', created: '2026-01-02T00:00:00Z' });
    world.serve({ name: 'c-new', vip: '192.0.2.2', created: '2026-01-03T00:00:00Z' });
    await world.run(2000);
    assert.equal(world.holders('192.0.2.1').length, 1);
    assert.deepEqual(world.holders('192.0.2.1'), [world.holderOf('shop/kubevip-b-old')]);
    assert.deepEqual(world.holders('192.0.2.2'), world.holders('192.0.2.1'));
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('when the oldest is deleted the address stays where it is, on the lease of the next', async () => {
    const world = await worldOf(3);
    world.serve({ name: 'old', vip: '192.0.2.1', created: '2026-01-01T00:00:00Z' });
    world.serve({ name: 'new', vip: '192.0.2.1', created: '2026-01-02T00:00:00Z' });
    await world.run(400);
    const [holder] = world.holders('192.0.2.1');
    const gone = countGone(nodeOf(world, holder), '192.0.2.1');
    world.remove('old');
    await world.run(8000);
    assert.deepEqual(world.holders('192.0.2.1'), [holder]);
    assert.equal(world.holderOf('shop/kubevip-new'), holder);
    await world.run(9000);
    assert.equal(world.holderOf('shop/kubevip-old'), '');
    assert.equal(gone(), 0);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a hand-over that does not succeed ends before anybody else may take the address', async () => {
    const world = await worldOf(2);
    world.serve({ name: 'old', vip: '192.0.2.1', created: '2026-01-01T00:00:00Z' });
    world.serve({ name: 'new', vip: '192.0.2.1', created: '2026-01-02T00:00:00Z' });
    await world.run(400);
    const [first] = world.holders('192.0.2.1');
    nodeOf(world, first).isCutOff = true;
    world.remove('old');
    await world.run(12_000);
    assert.deepEqual(
      world.holders('192.0.2.1'),
      ['a', 'b'].filter((name) => name !== first),
    );
    assert.deepEqual(world.doubles, []);
    await world.close();
  });
});

describe('elections on demand', () => {
  const forced = { 'kube-vip.io/forcePerServiceElection': 'true' };

  test('ELE-05 a forced Service has a lease of its own, which decides where its VIP is', async () => {
    const world = await worldOf(2, { electionOnDemand: true });
    world.lease('shop/kubevip-web').put(recordOf('somebody-else'));
    world.serve({ name: 'web', vip: '192.0.2.1', annotations: forced });
    world.serve({ name: 'api', vip: '192.0.2.2' });
    await world.run(400);
    assert.deepEqual(world.holders('192.0.2.1'), [], 'the lease is held elsewhere');
    assert.deepEqual(world.holders('192.0.2.2'), [world.holderOf('kube-system/plndr-svcs-lock')]);
    world.lease('shop/kubevip-web').put(recordOf(''));
    await world.run(3000);
    assert.deepEqual(world.holders('192.0.2.1'), [world.holderOf('shop/kubevip-web')]);
    await world.close();
  });

  test('the annotation may come and go while the Service is active', async () => {
    const world = await worldOf(2, { electionOnDemand: true });
    world.serve({ name: 'web', vip: '192.0.2.1' });
    await world.run(400);
    world.put({ name: 'web', vip: '192.0.2.1', annotations: forced });
    await world.run(8000);
    assert.deepEqual(world.holders('192.0.2.1'), [world.holderOf('shop/kubevip-web')]);
    world.put({ name: 'web', vip: '192.0.2.1' });
    await world.run(8000);
    assert.deepEqual(world.holders('192.0.2.1'), [world.holderOf('kube-system/plndr-svcs-lock')]);
    world.remove('web');
    await world.run(200);
    assert.deepEqual(world.holders('192.0.2.1'), []);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });
});

/** How often the address leaves the node from now on. */
function countGone(node: TestNode, vip: string): () => number {
  let gone = 0;
  node.kernel.watch(['address'], (event) => {
    if (event.kind === 'address' && event.change === 'gone' && event.address.address === vip) gone++;
  });
  return () => gone;
}
