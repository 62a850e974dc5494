import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { World } from './scene.ts';

const common = { 'kube-vip.io/leaseName': 'common' };

/** Node a holds the Service by a lease that its annotation names; nodes b and c would. */
async function worldOf(): Promise<World> {
  const world = new World({ perServiceElection: true });
  await world.add('a');
  world.serve({ name: 'web', vip: '192.0.2.1', annotations: common });
  await world.run(400);
  await world.add('b');
  await world.add('c');
  await world.run(1500);
  assert.deepEqual(world.holders('192.0.2.1'), ['a']);
  return world;
}

/** How long nobody has the address, milliseconds. */
async function away(world: World): Promise<number> {
  let ms = 0;
  while (world.holders('192.0.2.1').length === 0 && ms < 20_000) {
    await world.run(20);
    ms += 20;
  }
  return ms;
}

describe('an edit that gives a Service another lease and another node', () => {
  test('leaseName removed and policy Local, the endpoint elsewhere: the other node has the VIP at once', async () => {
    const world = await worldOf();
    world.endpoints('web', 'b');
    await world.run(200);
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    const ms = await away(world);
    assert.ok(ms <= 400, `${ms} ms without a holder`);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    assert.deepEqual(world.doubles, []);
    assert.equal(world.holderOf('shop/kubevip-web'), 'b');
    await world.close();
  });

  test('the same when the other node hears of it first', async () => {
    const world = await worldOf();
    world.endpoints('web', 'b');
    await world.run(200);
    const [a] = world.nodes;
    assert.ok(a !== undefined);
    a.isDeaf = true;
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    await world.run(300);
    assert.deepEqual(world.holders('192.0.2.1'), ['a']);
    world.catchUp(a);
    const ms = await away(world);
    assert.ok(ms <= 400, `${ms} ms without a holder`);
    assert.deepEqual(world.holders('192.0.2.1'), ['b']);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('leaseName removed and policy Local, with an endpoint on the holder: the VIP stays where it is', async () => {
    const world = await worldOf();
    world.endpoints('web', 'a', 'b');
    await world.run(200);
    world.put({ name: 'web', vip: '192.0.2.1', policy: 'Local' });
    for (let ms = 0; ms < 20_000; ms += 500) {
      await world.run(500);
      assert.deepEqual(world.holders('192.0.2.1'), ['a']);
    }
    assert.deepEqual(world.doubles, []);
    assert.equal(world.holderOf('shop/kubevip-web'), 'a');
    await world.close();
  });
});

test('a Service that was made anew while a node heard nothing: that node, too, takes the other one for the elder', async () => {
  const world = new World({ perServiceElection: true });
  const a = await world.add('a');
  const shared = (name: string, created: string): void => {
    world.serve({ name, vip: '192.0.2.1', port: name === 'web' ? 80 : 81, created });
  };
  shared('web', '2026-01-01T00:00:00Z');
  shared('api', '2026-01-02T00:00:00Z');
  await world.run(400);
  const b = await world.add('b');
  await world.run(400);
  a.isDeaf = true;
  world.remove('web');
  shared('web', '2026-01-03T00:00:00Z');
  await world.run(400);
  world.catchUp(a);
  await world.run(20_000);
  assert.deepEqual(world.doubles, []);
  assert.deepEqual(
    [a, b].flatMap(({ operator }) => operator.advertised()),
    ['shop/web', 'shop/api'],
  );
  assert.deepEqual(world.holderOf('shop/kubevip-web'), '');
  assert.deepEqual(world.holderOf('shop/kubevip-api'), world.holders('192.0.2.1')[0]);
  await world.close();
});

test('the eldest of those that share an address go one after the other: the address stays where it is', async () => {
  const world = new World({ perServiceElection: true });
  const names = ['one', 'two', 'three', 'four'];
  const a = await world.add('a');
  for (const [i, name] of names.entries())
    world.serve({ name, vip: '192.0.2.1', port: 80 + i, created: `2026-01-0${i + 1}T00:00:00Z` });
  await world.run(400);
  const b = await world.add('b');
  await world.run(1500);
  [a.luck, b.luck] = [0.9, 0.1];
  for (const [name, pauseMs] of [['one', 300] as const, ['two', 3000] as const, ['three', 20_000] as const]) {
    world.remove(name);
    for (let ms = 0; ms < pauseMs; ms += 20) {
      await world.run(20);
      assert.deepEqual(world.holders('192.0.2.1'), ['a'], `${ms} ms after the end of ${name}`);
    }
  }
  assert.equal(world.holderOf('shop/kubevip-four'), 'a');
  assert.deepEqual(world.doubles, []);
  await world.close();
});

test('the same when they go almost at once, and the leases between were never held', async () => {
  const world = new World({ perServiceElection: true });
  const names = ['one', 'two', 'three', 'four', 'five'];
  await world.add('a');
  for (const [i, name] of names.entries())
    world.serve({ name, vip: '192.0.2.1', port: 80 + i, created: `2026-01-0${i + 1}T00:00:00Z` });
  await world.run(400);
  await world.add('b');
  await world.run(1500);
  for (const name of names.slice(0, -1)) world.remove(name);
  for (let ms = 0; ms < 20_000; ms += 20) {
    await world.run(20);
    assert.deepEqual(world.holders('192.0.2.1'), ['a'], `after ${ms} ms`);
  }
  assert.equal(world.holderOf('shop/kubevip-five'), 'a');
  assert.deepEqual(world.nodes[0]?.operator.advertised(), ['shop/five']);
  assert.deepEqual(world.doubles, []);
  await world.close();
});

test('who has to give an address up gives the former leases back as well: the next holder has it at once', async () => {
  const world = new World({ electionOnDemand: true });
  const forced = { 'kube-vip.io/forcePerServiceElection': 'true' };
  const a = await world.add('a');
  await world.run(400);
  const b = await world.add('b');
  await world.run(400);
  [a.luck, b.luck] = [0.9, 0];
  a.isDeaf = true;
  world.serve({ name: 'web', vip: '192.0.2.1', annotations: forced });
  await world.run(400);
  world.catchUp(a);
  world.endpoints('web', 'a', 'b');
  await world.run(400);
  world.put({ name: 'web', vip: '192.0.2.1', annotations: { ...forced, ...common } });
  await world.run(1000);
  assert.deepEqual(world.holders('192.0.2.1'), ['b']);
  assert.equal(world.holderOf('kube-system/plndr-svcs-lock'), 'a');
  world.put({ name: 'web', vip: '192.0.2.1' });
  await world.run(20);
  const ms = await away(world);
  assert.ok(ms <= 500, `${ms} ms without a holder`);
  assert.deepEqual(world.holders('192.0.2.1'), ['a']);
  assert.deepEqual(world.doubles, []);
  await world.close();
});
