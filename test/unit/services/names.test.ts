import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import type { Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { Names, pickAddresses, type NameFamilies } from '../../../src/lib/names.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { World, type TestNode } from './scene.ts';

async function oneNode(options: ConstructorParameters<typeof World>[0] = {}): Promise<[World, TestNode]> {
  const world = new World(options);
  const node = await world.add('a');
  await world.run(400);
  return [world, node];
}

test('SVC-10 a name is resolved, followed within 3 s, and its address has a lifetime of a minute', async () => {
  const [world, node] = await oneNode();
  world.hosts.set('www.example', ['192.0.2.1']);
  world.serve({ name: 'web', vip: 'WWW.Example,192.0.2.9' });
  await world.run(100);
  assert.deepEqual(node.vips(), ['192.0.2.1/32@eth0', '192.0.2.9/32@eth0']);
  assert.match(node.kernel.showAddresses(), /192\.0\.2\.1\/32 .*valid_lft 60sec/);
  assert.match(node.kernel.showAddresses(), /192\.0\.2\.9\/32 .*valid_lft forever/);
  world.hosts.set('www.example', ['192.0.2.2']);
  await world.run(3000);
  assert.deepEqual(node.vips(), ['192.0.2.2/32@eth0', '192.0.2.9/32@eth0']);
  assert.equal(node.statuses.at(-1), 'shop/web 192.0.2.9:80,192.0.2.2:80');
  await world.run(300_000);
  assert.ok(node.has('192.0.2.2'), 'it is renewed as long as it is wanted');
  await world.close();
});

test('SVC-10 a name beside an address that is none is resolved all the same', async () => {
  const [world, node] = await oneNode();
  world.hosts.set('www.example', ['192.0.2.1']);
  world.serve({ name: 'web', vip: '192.0.2.256,www.example' });
  await world.run(100);
  assert.deepEqual(node.vips(), ['192.0.2.1/32@eth0']);
  await world.close();
});

test('SVC-10 ipFamilies choose among the addresses of a name, dns_mode does where they are not given', async () => {
  const hosts = ['2001:db8::1', '192.0.2.1', '192.0.2.2', '2001:db8::2'];
  const cases: readonly [string, object, readonly string[]][] = [
    ['first', {}, ['2001:db8::1']],
    ['ipv4', {}, ['192.0.2.1']],
    ['ipv6', {}, ['2001:db8::1']],
    ['dual', {}, ['192.0.2.1', '2001:db8::1']],
    ['ipv6', { ipFamilies: ['IPv4'] }, ['192.0.2.1']],
    ['ipv4', { ipFamilies: ['IPv6'] }, ['2001:db8::1']],
    [
      'ipv4',
      { ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'PreferDualStack' },
      ['192.0.2.1', '2001:db8::1'],
    ],
  ];
  for (const [dnsMode, spec, expected] of cases) {
    const [world, node] = await oneNode({ dnsMode: dnsMode as 'first' });
    world.hosts.set('www.example', hosts);
    world.serve({ name: 'web', vip: 'www.example', ...spec });
    await world.run(100);
    const found = node.vips().map((vip) => vip.replace(/\/.*/, ''));
    assert.deepEqual(found, expected, `${dnsMode} ${JSON.stringify(spec)}`);
    await world.close();
  }
});

test('names whose name servers are silent hold up no other, and each of them is asked for in its turn', async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  const names = new Names({
    clock,
    log: silentLogger,
    changed: () => undefined,
    resolve: async (name): Promise<readonly Ip[]> => {
      asked.push(name);
      if (!name.startsWith('silent')) return [ip('192.0.2.1')];
      await clock.sleep('resolver', 10_000, new AbortController().signal);
      throw new Error('timed out');
    },
  });
  const silent = Array.from({ length: 16 }, (_, n) => `silent${n}`);
  for (const name of silent) names.want(`shop/${name}`, [name]);
  await clock.advance(21_000);
  asked.length = 0;
  names.want('shop/web', ['www']);
  assert.deepEqual(asked.filter((name) => name === 'www').length, 1, 'at once');
  await clock.advance(200_000);
  const times = (name: string): number => asked.filter((each) => each === name).length;
  assert.ok(times('www') >= 60, `every 3 s: ${times('www')}`);
  for (const name of silent) assert.ok(times(name) >= 1, `${name} is not forgotten`);
  names.close();
});

test('a family that is missing is an error only where both are required', () => {
  const outcome = (families: NameFamilies): readonly string[] | string =>
    pickAddresses([ip('192.0.2.1')], families);
  assert.deepEqual(outcome('dual'), ['192.0.2.1']);
  assert.match(String(outcome('both')), /no IPv6 address and ipFamilyPolicy is RequireDualStack/);
  assert.match(String(outcome('ipv6')), /no IPv6 address/);
});

test('a name that cannot be resolved is told of, and is taken up as soon as it can', async () => {
  const [world, node] = await oneNode();
  world.serve({ name: 'web', vip: 'www.example' });
  world.serve({ name: 'api', vip: '192.0.2.2' });
  await world.run(6000);
  assert.deepEqual(node.told, [
    'web NameNotResolved kube-vip.io/loadbalancerIPs: www.example has no address for us: no such name',
  ]);
  assert.deepEqual(node.vips(), ['192.0.2.2/32@eth0']);
  world.hosts.set('www.example', ['192.0.2.1']);
  await world.run(3000);
  assert.ok(node.has('192.0.2.1'));
  await world.close();
});

test('a resolver that fails later, or rotates its answers, moves no VIP', async () => {
  const [world, node] = await oneNode();
  world.hosts.set('www.example', ['192.0.2.1', '192.0.2.2']);
  world.serve({ name: 'web', vip: 'www.example' });
  await world.run(100);
  world.hosts.set('www.example', ['192.0.2.2', '192.0.2.1']);
  await world.run(6000);
  assert.deepEqual(node.vips(), ['192.0.2.1/32@eth0']);
  world.hosts.delete('www.example');
  await world.run(120_000);
  assert.deepEqual(node.vips(), ['192.0.2.1/32@eth0']);
  await world.close();
});

test('an answer that cannot be a VIP is refused', async () => {
  const [world, node] = await oneNode();
  world.hosts.set('www.example', ['0.0.0.0', '127.0.0.1', 'ff02::1', 'fe80::1']);
  world.serve({ name: 'web', vip: 'www.example' });
  await world.run(100);
  assert.deepEqual(node.vips(), []);
  assert.match(node.told[0] ?? '', /0\.0\.0\.0,127\.0\.0\.1,ff02::1,fe80::1 cannot be a VIP/);
  await world.close();
});

test('a name is asked about once for all its Services, and no longer than somebody wants it', async () => {
  const [world] = await oneNode();
  world.hosts.set('www.example', ['192.0.2.1']);
  world.serve({ name: 'web', vip: 'www.example' });
  world.serve({ name: 'api', vip: 'www.example' });
  world.serve({ name: 'other', vip: 'www.example', type: 'ClusterIP' });
  await world.run(6200);
  assert.equal(world.questions, 3);
  world.remove('web');
  world.put({ name: 'api', vip: '192.0.2.7' });
  await world.run(9000);
  assert.equal(world.questions, 3);
  await world.close();
});

test('spec.loadBalancerIP may be a name: the status, which has its address, does not freeze it', async () => {
  const [world, node] = await oneNode();
  world.hosts.set('www.example', ['192.0.2.1']);
  world.serve({ name: 'web', vip: '', spec: { loadBalancerIP: 'www.example' }, ingress: ['192.0.2.1'] });
  await world.run(100);
  world.hosts.set('www.example', ['192.0.2.2']);
  await world.run(3000);
  assert.deepEqual(node.vips(), ['192.0.2.2/32@eth0']);
  await world.close();
});

test('what is neither address nor name is told of by its field; the rest is served', async () => {
  const [world, node] = await oneNode();
  world.serve({ name: 'web', vip: '192.0.2.300, 192.0.2.1, a b' });
  world.serve({ name: 'api', vip: '10.0.0.0/8' });
  await world.run(100);
  assert.deepEqual(node.vips(), ['192.0.2.1/32@eth0']);
  assert.deepEqual(
    node.told,
    ['web', 'web', 'api'].map((name, i) => {
      const text = ['192.0.2.300', 'a b', '10.0.0.0/8'][i];
      return `${name} InvalidAddress kube-vip.io/loadbalancerIPs: "${text}" is neither an address nor a name`;
    }),
  );
  assert.ok(node.story.includes('failure shop/api invalid_config'));
  await world.close();
});
