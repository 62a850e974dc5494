import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import type { NetlinkMessage } from '../../../src/linux/netlink/message.ts';
import { decodeAddress } from '../../../src/linux/rtnetlink/address.ts';
import { decodeEvent, groupsFor } from '../../../src/linux/rtnetlink/events.ts';
import { decodeLink } from '../../../src/linux/rtnetlink/link.ts';
import { decodeNeighbour } from '../../../src/linux/rtnetlink/neighbour.ts';
import { decodeRoute } from '../../../src/linux/rtnetlink/route.ts';
import { decodeRule } from '../../../src/linux/rtnetlink/rule.ts';
import { bytesOf, vectors } from './vectors.ts';

// The vectors were recorded on a little-endian machine.
const little = true;

test('a veth link', () => {
  assert.deepEqual(decodeLink(bytesOf(vectors.linkNear), little), {
    index: 3,
    name: 'near',
    hardwareType: 1,
    mac: '02:00:00:00:00:0a',
    broadcast: 'ff:ff:ff:ff:ff:ff',
    mtu: 1500,
    operState: 'up',
    adminUp: true,
    carrier: true,
    loopback: false,
    kind: 'veth',
    master: undefined,
  });
});

test('a port that leaves its bridge is announced as a deleted link, and is not one', () => {
  const message: NetlinkMessage = {
    type: 17, // RTM_DELLINK
    flags: 0,
    sequence: 0,
    portId: 0,
    payload: bytesOf(vectors.bridgePortGone),
  };
  assert.equal(decodeEvent(message, little), undefined);
  message.payload[0] = 0; // as if it were about the link itself
  assert.equal(decodeEvent(message, little)?.kind, 'link');
});

test('addresses', () => {
  const plain = {
    tentative: false,
    dadFailed: false,
    noDad: false,
    permanent: true,
    validLifetime: undefined,
  };
  assert.deepEqual(decodeAddress(bytesOf(vectors.addressSubnet), little), {
    ...plain,
    ifindex: 3,
    address: ip('192.0.2.1'),
    prefixLength: 24,
    scope: 'global',
    preferredLifetime: undefined,
    deprecated: false,
    broadcast: ip('192.0.2.255'),
    protocol: 0,
  });
  const deprecated = decodeAddress(bytesOf(vectors.addressDeprecated), little);
  assert.deepEqual([deprecated?.deprecated, deprecated?.preferredLifetime], [true, undefined]);
  const ipv6 = decodeAddress(bytesOf(vectors.addressIpv6), little);
  assert.deepEqual(
    [ipv6?.address, ipv6?.prefixLength, ipv6?.noDad, ipv6?.deprecated, ipv6?.preferredLifetime],
    ['2001:db8::1', 64, true, true, 0],
  );
});

test('routes: many next hops, a gateway of the other family, a default in a table above 255', () => {
  const plain = { family: 4, scope: 'global', type: 1, table: 254, source: undefined, realm: undefined };
  assert.deepEqual(decodeRoute(bytesOf(vectors.routeMultipath), little), {
    ...plain,
    destination: { address: ip('10.1.0.0'), length: 16 },
    protocol: 248,
    nextHops: [
      { gateway: ip('192.0.2.2'), ifindex: 3, weight: 1 },
      { gateway: ip('192.0.2.3'), ifindex: 3, weight: 3 },
    ],
    priority: 7,
    source: ip('192.0.2.1'),
  });
  assert.deepEqual(decodeRoute(bytesOf(vectors.routeVia), little), {
    ...plain,
    destination: { address: ip('10.2.0.0'), length: 16 },
    protocol: 3,
    nextHops: [{ gateway: ip('fe80::1'), ifindex: 3, weight: 1 }],
    priority: undefined,
    realm: 5,
  });
  assert.deepEqual(decodeRoute(bytesOf(vectors.routeDefault), little), {
    ...plain,
    destination: undefined,
    table: 1000,
    protocol: 3,
    nextHops: [{ gateway: ip('192.0.2.2'), ifindex: 3, weight: 1 }],
    priority: undefined,
  });
});

test('a rule by source and mark', () => {
  assert.deepEqual(decodeRule(bytesOf(vectors.ruleMark), little), {
    family: 4,
    priority: 100,
    table: 1000,
    from: { address: ip('192.0.2.1'), length: 32 },
    to: undefined,
    mark: 0x10,
    markMask: 0xff,
    protocol: 0,
  });
});

test('neighbours', () => {
  assert.deepEqual(decodeNeighbour(bytesOf(vectors.neighbour), little), {
    ifindex: 3,
    address: ip('192.0.2.2'),
    mac: '02:00:00:00:00:02',
    state: 'permanent',
  });
  assert.equal(decodeNeighbour(bytesOf(vectors.neighbourIpv6), little)?.state, 'noarp');
});

test('groups are those of the kinds asked for', () => {
  assert.deepEqual(groupsFor(['address', 'link', 'address']), [5, 9, 1]);
});
