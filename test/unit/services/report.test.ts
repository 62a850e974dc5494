import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from './scene.ts';

test('the report says what becomes of each Service, and why', async () => {
  const world = new World();
  for (const name of ['a', 'b']) await world.add(name);
  await world.run(400);
  world.serve({ name: 'web', vip: '192.0.2.1' });
  world.put({ name: 'idle', vip: '192.0.2.2' });
  world.serve({ name: 'bare', vip: '' });
  world.serve({ name: 'off', vip: '192.0.2.3', annotations: { 'kube-vip.io/serviceInterface': 'eth7' } });
  const states = (node: number): readonly string[] =>
    [...(world.nodes[node]?.operator.services() ?? [])].map(
      ({ service, isActive, vips, endpoints, slices, state }) =>
        [service, isActive, vips.join(), endpoints, slices, state].join(' '),
    );
  const others = [
    'shop/idle false 192.0.2.2 0 0 no-endpoints (no serving endpoint anywhere)',
    'shop/bare false  3 1 no-address (no controller has given it an address yet)',
    'shop/off false 192.0.2.3 3 1 no place on this node',
  ];
  assert.deepEqual(states(0), ['shop/web true 192.0.2.1 3 1 advertised', ...others]);
  await world.run(2000);
  assert.deepEqual(states(1), ['shop/web false 192.0.2.1 3 1 held by a', ...others]);
  await world.close();
});
