import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { World } from './scene.ts';

async function worldOf(count: number, options: ConstructorParameters<typeof World>[0] = {}): Promise<World> {
  const world = new World(options);
  for (const name of ['a', 'b', 'c'].slice(0, count)) await world.add(name);
  await world.run(400);
  return world;
}

describe('one lease for all Services', () => {
  test('the holder carries the VIP, nobody else', async () => {
    const world = await worldOf(3);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    assert.deepEqual(world.holders('192.0.2.1'), ['a'], 'in the very turn in which it is heard of');
    assert.deepEqual(world.nodes[0]?.statuses, ['shop/web 192.0.2.1:80']);
    await world.close();
    assert.deepEqual(world.holders('192.0.2.1'), []);
    assert.equal(world.holderOf('kube-system/plndr-svcs-lock'), '');
  });

  test('a node that takes over goes by the verdicts it has, and by others where something has changed', async () => {
    const world = await worldOf(2);
    const [a, b] = world.nodes;
    assert.ok(a !== undefined && b !== undefined);
    for (let n = 1; n <= 9; n++) world.serve({ name: `s${n}`, vip: `192.0.2.${n}` });
    world.put({ name: 's2', vip: '192.0.2.22' });
    world.endpoints('s3');
    world.put({ name: 's4', vip: '192.0.2.4', port: 8080 });
    world.remove('s5');
    const before = b.placed;
    assert.ok(before >= 9);
    a.die();
    await world.run(8000);
    assert.equal(b.placed, before);
    const vips = ['1', '22', '4', '6', '7', '8', '9'].map((n) => `192.0.2.${n}/32@eth0`);
    assert.deepEqual(b.vips(), vips.sort());
    assert.ok(b.statuses.includes('shop/s4 192.0.2.4:8080'));
    world.endpoints('s3', 'b');
    assert.ok(b.has('192.0.2.3'));
    await world.close();
  });

  test('SVC-04 a type change, and the ignore annotation set later, take the VIP away', async () => {
    const world = await worldOf(1);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    world.serve({ name: 'api', vip: '192.0.2.2' });
    assert.equal(world.nodes[0]?.vips().length, 2);
    world.put({ name: 'web', vip: '192.0.2.1', type: 'ClusterIP' });
    world.put({ name: 'api', vip: '192.0.2.2', annotations: { 'kube-vip.io/ignore': 'true' } });
    assert.deepEqual(world.nodes[0].vips(), []);
    await world.close();
  });

  test('SVC-15 a change of addresses touches only what differs', async () => {
    const world = await worldOf(1);
    const [node] = world.nodes;
    world.serve({ name: 'web', vip: '192.0.2.1,192.0.2.2' });
    await world.run(3000);
    const before = node?.kernel.frames.length ?? 0;
    world.put({ name: 'web', vip: '192.0.2.1,192.0.2.3' });
    assert.deepEqual(node?.vips(), ['192.0.2.1/32@eth0', '192.0.2.3/32@eth0']);
    assert.ok(node.kernel.frames.length > before, 'the new one is announced at once');
    assert.equal(node.story.filter((line) => line.startsWith('-')).length, 0);
    await world.close();
  });

  test('SVC-16 a change of ports reaches the status', async () => {
    const world = await worldOf(1);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    world.put({ name: 'web', vip: '192.0.2.1', port: 8080 });
    assert.deepEqual(world.nodes[0]?.statuses, ['shop/web 192.0.2.1:80', 'shop/web 192.0.2.1:8080']);
    await world.close();
  });

  test('two Services on one VIP: it stays until the last is gone', async () => {
    const world = await worldOf(2);
    world.serve({ name: 'one', vip: '192.0.2.1' });
    world.serve({ name: 'two', vip: '192.0.2.1' });
    world.remove('one');
    assert.deepEqual(world.holders('192.0.2.1'), ['a']);
    world.remove('two');
    assert.deepEqual(world.holders('192.0.2.1'), []);
    await world.close();
  });

  test('SVC-30 without endpoints the VIP goes, and it is back with them', async () => {
    const world = await worldOf(1);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    world.endpoints('web');
    assert.deepEqual(world.holders('192.0.2.1'), []);
    world.endpoints('web', 'b');
    assert.deepEqual(world.holders('192.0.2.1'), ['a']);
    await world.close();
  });

  test('SVC-21 a deleted Service leaves nothing: no VIP, no status to write, no series', async () => {
    const world = await worldOf(1);
    world.serve({ name: 'web', vip: '192.0.2.1' });
    world.remove('web');
    const [node] = world.nodes;
    assert.deepEqual(node?.vips(), []);
    assert.deepEqual(node.statuses.at(-1), 'shop/web dropped');
    assert.deepEqual(node.story, ['+ shop/web', '- shop/web', 'gone shop/web']);
    await world.close();
  });

  test('ARP-05 with preserve a lost lease leaves IPv4 VIPs, silent, until another node holds; IPv6 goes', async () => {
    const world = await worldOf(2, { preserve: true });
    world.serve({ name: 'web', vip: '192.0.2.1,2001:db8::1' });
    const [a] = world.nodes;
    assert.ok(a !== undefined);
    await world.run(200);
    a.isCutOff = true;
    await world.clock.advance(4000);
    assert.deepEqual(a.vips(), ['192.0.2.1/32@eth0']);
    const frames = a.kernel.frames.length;
    await world.clock.advance(500);
    assert.equal(a.kernel.frames.length, frames, 'silent');
    await world.clock.advance(3000);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    a.isCutOff = false;
    await world.close();
  });

  test('a preserved VIP goes at the stop, although the API server answers nothing', async () => {
    const world = await worldOf(1, { preserve: true });
    world.serve({ name: 'web', vip: '192.0.2.1' });
    const [a] = world.nodes;
    assert.ok(a !== undefined);
    await world.run(200);
    a.isCutOff = true;
    await world.clock.advance(4000);
    assert.deepEqual(a.vips(), ['192.0.2.1/32@eth0']);
    a.stop.abort();
    await world.clock.advance(0);
    assert.deepEqual(a.vips(), []);
    await world.clock.advance(4000);
    await world.close();
  });

  test('nothing is decided before Services and endpoints are both listed', async () => {
    const world = new World();
    world.serve({ name: 'web', vip: '192.0.2.1' });
    const node = await world.addUnsynced('a');
    await world.run(400);
    assert.match(node.operator.waitingFor() ?? '', /not been listed/);
    assert.deepEqual(node.vips(), []);
    world.sync(node);
    assert.equal(node.operator.waitingFor(), undefined);
    assert.deepEqual(world.holders('192.0.2.1'), ['a']);
    await world.close();
  });

  test('SVC-25 with a debounce time changes are collected, a type change among them', async () => {
    const world = await worldOf(1, { debounceMs: 500 });
    world.serve({ name: 'web', vip: '192.0.2.1' });
    await world.run(600);
    world.put({ name: 'web', vip: '192.0.2.2' });
    world.put({ name: 'web', vip: '192.0.2.3' });
    await world.run(400);
    assert.deepEqual(world.nodes[0]?.vips(), ['192.0.2.1/32@eth0']);
    await world.run(200);
    assert.deepEqual(world.nodes[0].vips(), ['192.0.2.3/32@eth0']);
    world.put({ name: 'web', vip: '192.0.2.3', type: 'ClusterIP' });
    await world.run(600);
    assert.deepEqual(world.nodes[0].vips(), []);
    await world.close();
  });
});

describe('failover and restart', () => {
  test('every VIP is on the next holder in the turn in which it has the lease', async () => {
    const world = await worldOf(2);
    for (let i = 1; i <= 50; i++) world.serve({ name: `s${i}`, vip: `192.0.2.${i}` });
    const [a, b] = world.nodes;
    a?.stop.abort();
    await world.run(1500);
    assert.equal(a?.vips().length, 0);
    assert.equal(b?.vips().length, 50);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a killed holder that returns in time adopts its VIPs: none leaves the link', async () => {
    const world = await worldOf(1);
    for (let i = 1; i <= 20; i++) world.serve({ name: `s${i}`, vip: `192.0.2.${i}` });
    const [dead] = world.nodes.splice(0, 1);
    assert.ok(dead !== undefined);
    dead.die();
    await world.clock.advance(0);
    assert.equal(dead.vips().length, 20);
    let left = 0;
    const watch = dead.kernel.watch(['address'], (event) => {
      if (event.kind === 'address' && event.change === 'gone') left++;
    });
    dead.kernel.failNext('remove address', 1, 0);
    const heir = await world.addUnsynced('a', dead.kernel);
    await world.run(400);
    world.sync(heir);
    await world.run(4000);
    assert.equal(heir.vips().length, 20);
    assert.equal(left, 0);
    watch.close();
  });
});
