import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servicePrefixes } from '../../../src/config/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import { holderSpecs, placeVip, type LocalView } from '../../../src/services/placement.ts';
import { defaults, World } from './scene.ts';

const own = [
  { link: 'eth0', address: ip('192.0.2.10'), prefixLength: 24 },
  { link: 'eth1', address: ip('198.51.100.10'), prefixLength: 25 },
  { link: 'eth1', address: ip('2001:db8:1::10'), prefixLength: 64 },
  { link: 'lo', address: ip('198.51.100.77'), prefixLength: 32 },
];
const local: LocalView = {
  hasLink: (name) => ['eth0', 'eth1', 'eth2', 'lo'].includes(name),
  ownAddresses: () => own,
  ownerOf: (address) => own.find((each) => each.address === address)?.link,
};

function place(vip: string, asked?: string, options: Partial<typeof defaults> = {}): string {
  const placed = placeVip(ip(vip), asked, { ...defaults, ...options }, local);
  return placed.kind === 'place' ? `${placed.link}/${placed.prefixLength}` : placed.reason;
}

test('SVC-12 the annotation names the link, else vip_servicesinterface, else vip_interface', () => {
  const both = { servicesLink: 'eth1' };
  assert.equal(place('192.0.2.1', 'eth2', both), 'eth2/32');
  assert.equal(place('192.0.2.1', undefined, both), 'eth1/32');
  assert.equal(place('192.0.2.1'), 'eth0/32');
  assert.equal(place('192.0.2.1', 'eth9', both), 'no-link');
});

test('SVC-13 auto takes the link with a subnet for the VIP, else the next choice', () => {
  const auto = { servicesLink: 'auto' };
  assert.equal(place('198.51.100.1', undefined, auto), 'eth1/32');
  assert.equal(place('2001:db8:1::1', undefined, auto), 'eth1/128');
  assert.equal(place('203.0.113.1', undefined, auto), 'eth0/32');
  assert.equal(place('198.51.100.1', 'auto'), 'eth1/32');
  assert.equal(place('203.0.113.1', 'auto', { servicesLink: 'eth2' }), 'eth2/32');
  assert.equal(place('203.0.113.1', 'auto', auto), 'eth0/32');
});

test('SVC-13 of several links with a subnet for the VIP auto takes that with the smallest', () => {
  const wide = { link: 'eth2', address: ip('192.0.0.1'), prefixLength: 8 };
  const narrow = { link: 'eth1', address: ip('192.0.2.200'), prefixLength: 26 };
  const options = { ...defaults, servicesLink: 'auto', prefix4: 'auto' } as const;
  const at = (vip: string): string => {
    const placed = placeVip(ip(vip), undefined, options, {
      ...local,
      ownAddresses: () => [wide, ...own, narrow],
    });
    return placed.kind === 'place' ? `${placed.link}/${placed.prefixLength}` : placed.reason;
  };
  assert.equal(at('192.0.2.1'), 'eth0/24');
  assert.equal(at('192.0.2.193'), 'eth1/26');
  assert.equal(at('192.9.9.9'), 'eth2/8');
});

test('SVC-14 vip_subnet for both families, auto, and what cannot be used', () => {
  const read = (text: string): unknown => {
    const { prefix4, prefix6, problems } = servicePrefixes(text);
    return problems.length > 0 ? problems.map(({ problem }) => problem) : [prefix4, prefix6];
  };
  assert.deepEqual(read(''), [32, 128]);
  assert.deepEqual(read('32'), [32, 128]);
  assert.deepEqual(read('24'), [24, 128]);
  assert.deepEqual(read('64'), [32, 64]);
  assert.deepEqual(read('24,64'), [24, 64]);
  assert.deepEqual(read('auto'), ['auto', 'auto']);
  assert.deepEqual(read('auto,128'), ['auto', 128]);
  for (const bad of ['/24', '33,64', '24,129', '24,64,1', '0', 'x'])
    assert.equal(typeof (read(bad) as unknown[])[0], 'string', bad);
  const auto = { prefix4: 'auto', prefix6: 'auto', servicesLink: 'auto' } as const;
  assert.equal(place('198.51.100.1', undefined, auto), 'eth1/25');
  assert.equal(place('2001:db8:1::1', undefined, auto), 'eth1/64');
  assert.equal(place('203.0.113.1', undefined, auto), 'no-link');
});

test('an address of this machine, or one that is reserved, is never a VIP', () => {
  assert.equal(place('192.0.2.10'), 'address-in-use');
  const reserved = new Map([[ip('192.0.2.5'), 'the control-plane VIP']]);
  assert.equal(place('192.0.2.5', undefined, { reserved }), 'address-in-use');
});

test('ARP-07 the specs carry scope, detection, period and fence', () => {
  const fence = { holds: () => true };
  const config = { ...defaults, noDad: true, announcePeriodMs: 1000 };
  const places = [{ kind: 'place', vip: ip('2001:db8::1'), link: 'lo', prefixLength: 64 }] as const;
  const [address, announcement] = holderSpecs(places, config, fence);
  assert.deepEqual(address, {
    kind: 'address',
    vip: '2001:db8::1',
    prefixLength: 64,
    link: 'lo',
    scope: 'host',
    validLifetime: undefined,
    noDad: true,
    mark: 249,
    fence,
  });
  assert.deepEqual(announcement, {
    kind: 'announcement',
    vip: '2001:db8::1',
    link: 'lo',
    periodMs: 1000,
    fence,
  });
  const [onLo] = holderSpecs(places, { ...config, globalScopeOnLo: true }, fence);
  assert.equal(onLo?.kind === 'address' && onLo.scope, 'global');
});

test('where kube-proxy puts the VIPs of all Services on every node they are no address of the node itself', async () => {
  const world = new World();
  const { kernel } = await world.add('a');
  await world.run(400);
  kernel.addLink({ name: 'kube-ipvs0' });
  world.serve({ name: 'web', vip: '192.0.2.1' });
  await world.run(100);
  kernel.putAddress('kube-ipvs0', '192.0.2.1', 32, { preferredLifetime: undefined });
  await world.run(100);
  assert.match(kernel.showAddresses({ link: 'eth0' }), /192\.0\.2\.1\/32/);
  await world.close();
});

test('SVC-13 the choice among equal subnets does not depend on which address came last', async () => {
  const world = new World({ servicesLink: 'auto' });
  const { kernel } = await world.add('a');
  kernel.addLink({ name: 'macvlan0' });
  const own = (link: string, address: string): void => {
    kernel.putAddress(link, address, 24, { preferredLifetime: undefined });
  };
  own('eth0', '192.0.2.10');
  own('macvlan0', '192.0.2.11');
  await world.run(400);
  world.serve({ name: 'web', vip: '192.0.2.1' });
  await world.run(100);
  assert.match(kernel.showAddresses({ link: 'eth0' }), /192\.0\.2\.1\/32/);
  kernel.takeAddress('eth0', '192.0.2.10', 24);
  await world.run(100);
  own('eth0', '192.0.2.10');
  await world.run(100);
  assert.match(kernel.showAddresses({ link: 'eth0' }), /192\.0\.2\.1\/32/);
  await world.close();
});
