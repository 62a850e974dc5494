import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocate, Claims, findPool, type AddressRequest } from '../../../src/ipam/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import { turn, World } from './world.ts';

const annotation = 'kube-vip.io/loadbalancerIPs';

test('IPAM-17 at the start the oldest Service comes first, however they are listed', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.1' });
  const born = { 'shop/a': '2026-01-01T00:00:02Z', 'shop/b': '2026-01-01T00:00:01Z' };
  for (const [key, creationTimestamp] of Object.entries(born)) {
    world.create(key, {});
    const object = world.objects.get(key) ?? assert.fail();
    world.objects.set(key, { ...object, metadata: { ...object.metadata, creationTimestamp } });
  }
  world.changeLeader();
  await world.settle();
  const addressOf = (key: string): unknown => world.objects.get(key)?.metadata.annotations?.[annotation];
  assert.deepEqual(['shop/a', 'shop/b'].map(addressOf), [undefined, '10.0.0.1']);
});

test('IPAM-17 nothing is decided and nothing is sent when the lease holds no longer', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.9' });
  world.create('shop/a', {});
  world.holds = false;
  world.leader.deliver(1);
  await turn();
  assert.equal(world.sent, 0);
});

test('IPAM-17 updates under way end before the lease is released; none is begun any more', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.9' });
  world.create('shop/a', {});
  world.leader.deliver(1);
  let isDrained = false;
  void world.leader.assigner.drain().then(() => (isDrained = true));
  world.create('shop/b', {});
  world.leader.deliver(1);
  await turn();
  assert.deepEqual([isDrained, world.sent], [false, 1]);
  world.land();
  await turn();
  assert.deepEqual([isDrained, world.sent], [true, 1]);
});

test('IPAM-07 a Service is left without annotation, never with an empty one, and blocks nobody', async () => {
  const world = new World({ 'range-one': '10.0.0.1-10.0.0.1', 'range-two': '10.0.1.1-10.0.1.9' });
  const dual = { spec: { ipFamilyPolicy: 'PreferDualStack' } };
  world.create('one/a', dual);
  world.create('one/b', dual);
  world.create('two/c', dual);
  await world.settle();
  const annotations = ['one/a', 'one/b', 'two/c'].map(
    (key) => world.objects.get(key)?.metadata.annotations?.[annotation],
  );
  assert.deepEqual(annotations, ['10.0.0.1', undefined, '10.0.1.1']);
});

const vectors: readonly (readonly [
  what: string,
  data: Readonly<Record<string, string>>,
  request: Partial<AddressRequest>,
  used: readonly string[],
  expected: string,
])[] = [
  ['first of a /30', { 'cidr-ns': '192.168.0.200/30' }, {}, [], '192.168.0.200'],
  ['last of a /30', { 'cidr-ns': '192.168.0.200/30', 'search-order': 'desc' }, {}, [], '192.168.0.203'],
  ['desc is exact', { 'cidr-ns': '192.168.0.200/30', 'search-order': 'DESC' }, {}, [], '192.168.0.200'],
  [
    'ends are kept unless true is exact',
    { 'cidr-ns': '192.168.0.200/30', 'skip-end-ips-in-cidr': 'True' },
    {},
    [],
    '192.168.0.200',
  ],
  [
    'desc without the ends',
    { 'cidr-ns': '192.168.0.200/30', 'skip-end-ips-in-cidr': 'true', 'search-order': 'desc' },
    {},
    [],
    '192.168.0.202',
  ],
  [
    'v6 exhausted: only the other',
    { 'cidr-ns': '10.10.10.8/32,fd00::1/128' },
    { policy: 'PreferDualStack' },
    ['fd00::1'],
    '10.10.10.8',
  ],
  [
    'both exhausted',
    { 'cidr-ns': '10.10.10.8/32,fd00::1/128' },
    { policy: 'PreferDualStack' },
    ['fd00::1', '10.10.10.8'],
    'exhausted',
  ],
  ['v6 pool, IPv4 Service', { 'cidr-ns': 'fd00::1/128' }, {}, [], 'family-missing'],
  ['no families: IPv6 where that is all', { 'cidr-ns': 'fd00::1/128' }, { families: [] }, [], 'fd00::1'],
  [
    'cidr-global beats range-ns',
    { 'cidr-global': '10.1.0.1/32', 'range-ns': '10.2.0.1-10.2.0.9' },
    {},
    [],
    '10.1.0.1',
  ],
  [
    'allow-share that is no boolean is false',
    { 'range-ns': '10.0.0.2-10.0.0.3', 'allow-share-ns': 'yes' },
    { ports: [{ protocol: 'TCP', port: 81 }] },
    ['10.0.0.2'],
    '10.0.0.3',
  ],
];

for (const [what, data, over, used, expected] of vectors)
  test(`IPAM-01 IPAM-03 IPAM-04 IPAM-06 vector: ${what}`, () => {
    const found = findPool(data, 'ns');
    assert.ok('pool' in found);
    const ports = [{ protocol: 'TCP', port: 80 }];
    const claims = new Claims([{ service: 'ns/other', addresses: used.map(ip), ports }]);
    const request: AddressRequest = {
      service: 'ns/web',
      ports,
      families: [4],
      policy: 'SingleStack',
      ...over,
    };
    const result = allocate(found.pool, claims, request);
    assert.equal('problem' in result ? result.problem.reason : result.addresses.join(), expected);
  });
