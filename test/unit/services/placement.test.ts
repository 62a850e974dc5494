import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servicePrefixes } from '../../../src/config/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import { holderSpecs, placeVip, type LocalView } from '../../../src/services/placement.ts';
import { defaults } from './scene.ts';

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
