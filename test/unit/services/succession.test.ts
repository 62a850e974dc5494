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
    world.put({ name: 'older', vip: '192.0.2.2', ...on('older') });
    assert.equal(b?.has('192.0.2.2'), false, 'not in the moment of the change');
    await world.run(200);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    assert.deepEqual(world.doubles, []);
    assert.equal(world.holderOf('shop/kubevip-newer'), '', 'the heir has let go as well');
    await world.close();
  });

  test('is not taken from a holder that is cut off before that must have lost it', async () => {
    const world = await worldOf();
    cutOff(world, 'a');
    world.put({ name: 'older', vip: '192.0.2.2', ...on('older') });
    await world.run(2000);
    assert.deepEqual(world.holders('192.0.2.2'), ['a']);
    await world.run(5000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    assert.deepEqual(world.doubles, []);
    await world.close();
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
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a deleted Service and a new one with its address: as careful', async () => {
    const world = await worldOf();
    cutOff(world, 'a');
    world.remove('newer');
    world.serve({ name: 'next', vip: '192.0.2.2', created: '2026-01-03T00:00:00Z' });
    await world.run(7000);
    assert.deepEqual(world.holders('192.0.2.2'), ['b']);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a deleted Service and a new one with its address, everybody well: taken at once', async () => {
    const world = await worldOf();
    world.remove('newer');
    world.serve({ name: 'next', vip: '192.0.2.2', created: '2026-01-03T00:00:00Z' });
    await world.run(400);
    assert.equal(world.holders('192.0.2.2').length, 1);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });

  test('a lease that others still need: its holder has a lease duration to let go', async () => {
    const world = await worldOf();
    const annotations = { 'kube-vip.io/leaseName': 'common' };
    world.put({ name: 'newer', vip: '192.0.2.2', port: 81, annotations, ...on('newer') });
    await world.run(2000);
    world.serve({ name: 'third', vip: '192.0.2.4', annotations, ...on('newer') });
    await world.run(400);
    assert.deepEqual([world.holders('192.0.2.2'), world.holders('192.0.2.4')], [['a'], ['a']]);
    world.put({ name: 'older', vip: '192.0.2.2', ...on('older') });
    await world.run(4800);
    assert.deepEqual(world.holders('192.0.2.2'), []);
    await world.run(400);
    assert.deepEqual([world.holders('192.0.2.2'), world.holders('192.0.2.4')], [['b'], ['a']]);
    assert.deepEqual(world.doubles, []);
    await world.close();
  });
});

test('an address that goes to another lease and back waits for that other one only', () => {
  const freed: string[] = [];
  const campaigns = { get: () => ({ holder: 'other' }), join: () => undefined, leave: () => undefined };
  const succession = new Succession(
    {
      campaigns: campaigns as unknown as Campaigns,
      clock: new FakeClock(),
      freed: (keys) => freed.push(...keys),
    },
    5000,
  );
  const vips = [ip('192.0.2.1')] as const;
  for (const lease of ['shop/a', 'shop/b', 'shop/a']) succession.observe('shop/web', { lease, vips });
  assert.equal(succession.mayTake('shop/web', vips[0], 'shop/a'), false, 'b may still have it');
  succession.released('shop/b');
  assert.deepEqual(freed, ['shop/web']);
  assert.equal(succession.mayTake('shop/web', vips[0], 'shop/a'), true);
  succession.close();
});
