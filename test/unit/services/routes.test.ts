import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from './scene.ts';

async function routed(count: number, options?: ConstructorParameters<typeof World>[0]): Promise<World> {
  const world = new World({ reach: 'route', ...options });
  world.isContested = options !== undefined;
  for (const name of ['a', 'b', 'c'].slice(0, count)) await world.add(name);
  await world.run(400);
  return world;
}

const tables = (world: World): Promise<readonly (readonly string[])[]> =>
  Promise.all(world.nodes.map((node) => node.routes()));

test('RT-02 RT-03 without election every node that qualifies has the route, and none has the address', async () => {
  const world = await routed(3);
  world.endpoints('local', 'a', 'b');
  world.put({ name: 'local', vip: '192.0.2.1', policy: 'Local' });
  world.endpoints('cluster', 'a');
  world.put({ name: 'cluster', vip: '192.0.2.2' });
  assert.deepEqual(await tables(world), [
    ['192.0.2.1/32', '192.0.2.2/32'],
    ['192.0.2.1/32', '192.0.2.2/32'],
    ['192.0.2.2/32'],
  ]);
  for (const node of world.nodes) assert.deepEqual(node.vips(), []);
  assert.deepEqual(world.leaseNames(), []);
  await world.close();
  assert.deepEqual(await tables(world), [[], [], []]);
});

test('RT-03 only the families that have endpoints are routed', async () => {
  const world = await routed(2);
  world.endpoints6('web', 'a');
  world.put({ name: 'web', vip: '192.0.2.1,2001:db8::1', policy: 'Local' });
  world.slice4('web', 'b');
  assert.deepEqual(await tables(world), [['2001:db8::1/128'], ['192.0.2.1/32']]);
  world.slice4('web', 'a', 'b');
  assert.deepEqual(await tables(world), [['192.0.2.1/32', '2001:db8::1/128'], ['192.0.2.1/32']]);
  world.endpoints6('web');
  assert.deepEqual(await tables(world), [['192.0.2.1/32'], ['192.0.2.1/32']]);
  await world.close();
});

test('RT-08 the route goes with the last endpoint or its slice, and is back with it', async () => {
  const world = await routed(1);
  const [node] = world.nodes;
  world.endpoints('web', 'a');
  world.put({ name: 'web', vip: '192.0.2.1' });
  assert.deepEqual(await node?.routes(), ['192.0.2.1/32']);
  world.endpoints('web');
  assert.deepEqual(await node?.routes(), []);
  world.endpoints('web', 'a');
  assert.deepEqual(await node?.routes(), ['192.0.2.1/32']);
  for (let round = 0; round < 2; round++) {
    world.removeSlice('web-1');
    assert.deepEqual(await node?.routes(), []);
    world.endpoints('web', 'a');
    assert.deepEqual(await node?.routes(), ['192.0.2.1/32']);
  }
  await world.close();
  assert.deepEqual(await node?.routes(), []);
});

test('RT-04 with a common lease or one for each Service only the holder has the route', async () => {
  for (const options of [{}, { perServiceElection: true }]) {
    const world = await routed(2, options);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    await world.run(3000);
    const count = (await tables(world)).filter((routes) => routes.length > 0).length;
    assert.equal(count, 1, JSON.stringify(options));
    await world.close();
    assert.deepEqual(await tables(world), [[], []]);
  }
});

test('RT-05 two Services on one VIP: the route stays until the last is gone', async () => {
  const world = await routed(1);
  world.serve({ name: 'one', vip: '192.0.2.1' });
  world.serve({ name: 'two', vip: '192.0.2.1' });
  world.remove('one');
  assert.deepEqual(await world.nodes[0]?.routes(), ['192.0.2.1/32']);
  world.remove('two');
  assert.deepEqual(await world.nodes[0]?.routes(), []);
  await world.close();
});

test('SVC-17 nodes that serve one family each write the same status, with both', async () => {
  const world = new World({ reach: 'route', everyNode: true });
  world.isContested = false;
  for (const name of ['a', 'b', 'c']) await world.add(name);
  await world.run(400);
  world.slice4('web', 'a', 'c');
  world.endpoints6('web', 'b');
  world.put({ name: 'web', vip: '192.0.2.1,2001:db8::1', policy: 'Local' });
  await world.run(400);
  assert.deepEqual(await tables(world), [['192.0.2.1/32'], ['2001:db8::1/128'], ['192.0.2.1/32']]);
  const last = (): readonly (string | undefined)[] => world.nodes.map(({ statuses }) => statuses.at(-1));
  const both = 'shop/web 192.0.2.1:80,2001:db8::1:80';
  assert.deepEqual(last(), [both, both, both]);
  world.endpoints6('web');
  await world.run(400);
  const one = 'shop/web 192.0.2.1:80';
  assert.deepEqual(last(), [one, 'shop/web dropped', one], 'what nobody serves is not in it');
  await world.close();
});

test('SVC-18 vipHost is written where a VIP has one host: in ARP mode, and in BGP mode with a lease of its own', async () => {
  const hosts = async (options: ConstructorParameters<typeof World>[0]): Promise<string> => {
    const world = await routed(2, options);
    world.isContested = options?.reach === 'layer2' || options?.perServiceElection === true;
    world.serve({ name: 'web', vip: '192.0.2.1' });
    await world.run(2000);
    const named = world.nodes.filter(({ hostOf }) => hostOf.has('shop/web')).map(({ name }) => name);
    await world.close();
    return named.join();
  };
  assert.equal(await hosts({ reach: 'layer2' }), 'a');
  assert.equal(await hosts({ reach: 'bgp', perServiceElection: true }), 'a');
  assert.equal(await hosts({ reach: 'bgp' }), '');
  assert.equal(await hosts({ reach: 'route', perServiceElection: true }), '');
});
