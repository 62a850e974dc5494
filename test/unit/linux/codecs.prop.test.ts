import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ipFromBytes, type Ip } from '../../../src/lib/ip.ts';
import { decodeAck, splitMessages } from '../../../src/linux/netlink/message.ts';
import { decodeAddress, encodeAddress } from '../../../src/linux/rtnetlink/address.ts';
import { decodeEvent } from '../../../src/linux/rtnetlink/events.ts';
import { decodeLink } from '../../../src/linux/rtnetlink/link.ts';
import { decodeNeighbour } from '../../../src/linux/rtnetlink/neighbour.ts';
import { decodeRoute, encodeRoute } from '../../../src/linux/rtnetlink/route.ts';
import { decodeRule, encodeRule } from '../../../src/linux/rtnetlink/rule.ts';
import type { AddressRequest, Route, Rule } from '../../../src/linux/types.ts';
import { testHostileBytes } from './hostile.ts';
import type { Decoder } from './hostile.ts';
import { vectors } from './vectors.ts';

const message = (type: number, payload: Uint8Array) => ({
  type,
  flags: 0x200,
  sequence: 0,
  portId: 0,
  payload,
});
const decoders: Readonly<Record<string, Decoder>> = {
  splitMessages,
  decodeLink,
  decodeAddress,
  decodeRoute,
  decodeRule,
  decodeNeighbour,
  'decodeAck of an error': (bytes, littleEndian) => decodeAck(message(2, bytes), littleEndian),
  'decodeAck of an end': (bytes, littleEndian) => decodeAck(message(3, bytes), littleEndian),
  decodeEvent: (bytes, littleEndian) =>
    decodeEvent(message(16 + ((bytes[0] ?? 0) % 16), bytes), littleEndian),
};

testHostileBytes(decoders, Object.values(vectors));

const address4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ipFromBytes);
const address6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(ipFromBytes);
const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
/** A record whose prototype is that of every other object, for deepEqual. */
const plainRecord = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true });
const u32 = fc.nat(0xffffffff);
const prefix = (address: fc.Arbitrary<Ip>, max: number) =>
  plainRecord({ address, length: fc.integer({ min: 1, max }) });

const request: fc.Arbitrary<AddressRequest> = fc.boolean().chain((isIpv4) =>
  plainRecord({
    ifindex: fc.integer({ min: 1, max: 0x7fffffff }),
    address: isIpv4 ? address4 : address6,
    prefixLength: fc.nat(isIpv4 ? 30 : 128),
    scope: fc.constantFrom('global', 'site', 'link', 'host', 'nowhere'),
    validLifetime: optional(fc.nat(0xfffffffe)),
    preferredLifetime: optional(fc.nat(0xfffffffe)),
    noDad: isIpv4 ? fc.constant(false) : fc.boolean(),
    broadcast: isIpv4 ? optional(address4) : fc.constant(undefined),
    protocol: fc.nat(255),
  }),
);

test('an address comes back as it was requested, in both byte orders', () => {
  fc.assert(
    fc.property(request, fc.boolean(), (wanted, littleEndian) => {
      const found = decodeAddress(encodeAddress(wanted, littleEndian), littleEndian);
      assert.deepEqual(found, {
        ...wanted,
        deprecated: false,
        tentative: false,
        dadFailed: false,
        permanent: false,
      });
    }),
  );
});

const route: fc.Arbitrary<Route> = fc.constantFrom(4 as const, 6 as const).chain((family) => {
  const address = family === 4 ? address4 : address6;
  const hop = plainRecord({
    gateway: optional(fc.oneof(address4, address6)),
    ifindex: fc.integer({ min: 1, max: 0x7fffffff }),
    weight: fc.integer({ min: 1, max: 256 }),
  });
  return plainRecord({
    family: fc.constant(family),
    destination: optional(prefix(address, family === 4 ? 32 : 128)),
    table: u32,
    protocol: fc.nat(255),
    scope: fc.constantFrom('global', 'link', 'host'),
    type: fc.nat(255),
    nextHops: fc.oneof(
      fc.constant([]),
      hop.map((only) => [{ ...only, weight: 1 }]),
      fc.array(hop, { minLength: 2, maxLength: 8 }),
    ),
    priority: optional(u32),
    source: optional(address),
    realm: optional(u32),
  });
});

test('a route survives encoding and decoding, in both byte orders', () => {
  fc.assert(
    fc.property(route, fc.boolean(), (wanted, littleEndian) => {
      assert.deepEqual(decodeRoute(encodeRoute(wanted, littleEndian), littleEndian), wanted);
    }),
  );
});

const rule: fc.Arbitrary<Rule> = fc.constantFrom(4 as const, 6 as const).chain((family) => {
  const of = prefix(family === 4 ? address4 : address6, family === 4 ? 32 : 128);
  return plainRecord({
    family: fc.constant(family),
    priority: u32,
    table: u32,
    from: optional(of),
    to: optional(of),
    mark: optional(u32),
    markMask: optional(u32),
    protocol: fc.nat(255),
  });
});

test('a rule survives encoding and decoding, in both byte orders', () => {
  fc.assert(
    fc.property(rule, fc.boolean(), (wanted, littleEndian) => {
      assert.deepEqual(decodeRule(encodeRule(wanted, littleEndian), littleEndian), wanted);
    }),
  );
});
