import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errnoOf } from '../../../src/linux/errors.ts';
import { guardedPorts, sourceRanges } from '../../../src/services/guard.ts';
import type { Service } from '../../../src/services/types.ts';
import { World, type TestNode } from './scene.ts';

async function oneNode(
  options: ConstructorParameters<typeof World>[0] = { guarded: true },
): Promise<[World, TestNode]> {
  const world = new World(options);
  const node = await world.add('a');
  await world.run(400);
  return [world, node];
}

test('SVC-32 the ports of a Service are let in, and follow it', async () => {
  const [world, node] = await oneNode();
  world.serve({ name: 'web', vip: '192.0.2.1,2001:db8::1' });
  assert.deepEqual(node.guards(), ['192.0.2.1 tcp/80', '2001:db8::1 tcp/80']);
  world.put({ name: 'web', vip: '192.0.2.1', port: 443, from: ['10.0.0.0/8', ' 172.16.0.0/12'] });
  assert.deepEqual(node.guards(), ['192.0.2.1 tcp/443 from 10.0.0.0/8,172.16.0.0/12']);
  world.remove('web');
  assert.deepEqual(node.guards(), []);
  await world.close();
});

test('SVC-32 a Service can opt out, with exactly "true"', async () => {
  const [world, node] = await oneNode();
  const opt = (value: string) => ({ 'kube-vip.io/ignore-service-security': value });
  world.serve({ name: 'web', vip: '192.0.2.1', annotations: opt('yes') });
  assert.deepEqual(node.guards(), ['192.0.2.1 tcp/80']);
  world.put({ name: 'web', vip: '192.0.2.1', annotations: opt('true') });
  assert.deepEqual(node.guards(), []);
  assert.ok(node.has('192.0.2.1'));
  await world.close();
});

test('without service security nothing is guarded', async () => {
  const [world, node] = await oneNode({});
  world.serve({ name: 'web', vip: '192.0.2.1', from: ['10.0.0.0/8'] });
  assert.deepEqual(node.guards(), []);
  await world.close();
});

test('a preserved VIP stays guarded', async () => {
  const world = new World({ guarded: true, preserve: true });
  const node = await world.add('a');
  await world.run(400);
  world.serve({ name: 'web', vip: '192.0.2.1' });
  node.isCutOff = true;
  await world.run(6000);
  assert.ok(node.has('192.0.2.1'));
  assert.deepEqual(node.guards(), ['192.0.2.1 tcp/80']);
  await world.close();
});

test('of source ranges without end the first 1024 count, and mistakes are told one by one only while they are few', () => {
  const of = (ranges: readonly string[]) =>
    sourceRanges({ metadata: {}, spec: { loadBalancerSourceRanges: ranges } });
  const many = of(Array.from({ length: 8000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`));
  assert.equal(many.ranges?.length, 1024);
  const field = 'spec.loadBalancerSourceRanges:';
  assert.deepEqual(many.invalid, [`${field} it has more than 1024 items; those after are left out`]);
  const wrong = of(Array.from({ length: 1000 }, (_, i) => `${i} ${'x'.repeat(100_000)}`));
  assert.deepEqual(wrong.ranges, []);
  assert.equal(wrong.invalid.length, 9);
  assert.ok((wrong.invalid[0]?.length ?? 0) < 200);
  assert.equal(wrong.invalid[8], `${field} 992 more are no CIDR`);
});

test('a source range that is no CIDR lets nobody in, and its user is told', async () => {
  const [world, node] = await oneNode();
  world.serve({ name: 'web', vip: '192.0.2.1', from: ['10.0.0.0/33'] });
  world.serve({ name: 'api', vip: '192.0.2.2' });
  assert.deepEqual(node.guards(), ['192.0.2.1 tcp/80 from ', '192.0.2.2 tcp/80']);
  assert.deepEqual(node.told, [
    'web InvalidSourceRange spec.loadBalancerSourceRanges: 10.0.0.0/33 is no CIDR: nobody is let in by it',
  ]);
  await world.close();
});

test('SVC-32 a Service whose rules cannot be written is withheld, with an Event and no status, until they can', async () => {
  const [world, node] = await oneNode();
  node.nftables.failAll(errnoOf.ENOMEM);
  world.serve({ name: 'web', vip: '192.0.2.1', from: ['10.0.0.0/8'] });
  const annotations = { 'kube-vip.io/ignore-service-security': 'true' };
  world.serve({ name: 'open', vip: '192.0.2.2', annotations });
  await world.run(3000);
  assert.deepEqual(node.vips(), ['192.0.2.2/32@eth0']);
  assert.deepEqual(node.told, [
    'web NotProtected enable_service_security: 192.0.2.1 is withheld until its rules can be written: change nf_tables: not enough memory (ENOMEM)',
  ]);
  assert.equal(node.statuses.filter((line) => line.startsWith('shop/web')).at(-1), 'shop/web dropped');
  node.nftables.failAll(undefined);
  await world.run(6000);
  assert.ok(node.has('192.0.2.1'));
  assert.equal(node.statuses.at(-1), 'shop/web 192.0.2.1:80');
  await world.close();
});

test('ports of all three protocols; others are no ports', () => {
  const service = (...protocols: string[]): Service => ({
    metadata: {},
    spec: { ports: protocols.map((protocol, i) => ({ port: i + 1, protocol })) },
  });
  const kinds = guardedPorts(service('TCP', 'UDP', 'SCTP', 'DCCP'))?.map(
    ({ protocol, port }) => `${protocol} ${port}`,
  );
  assert.deepEqual(kinds, ['tcp 1', 'udp 2', 'sctp 3']);
  assert.equal(guardedPorts(service()), undefined);
  assert.deepEqual(sourceRanges(service('TCP')), { ranges: undefined, invalid: [] });
});
