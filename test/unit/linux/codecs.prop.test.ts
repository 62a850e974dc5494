import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../../src/lib/errors.ts';
import { ipFromBytes, type Ip } from '../../../src/lib/ip.ts';
import { decodeAck, splitMessages } from '../../../src/linux/netlink/message.ts';
import { decodeAddress, encodeAddress } from '../../../src/linux/rtnetlink/address.ts';
import { decodeEvent } from '../../../src/linux/rtnetlink/events.ts';
import { decodeLink } from '../../../src/linux/rtnetlink/link.ts';
import { decodeNeighbour } from '../../../src/linux/rtnetlink/neighbour.ts';
import { decodeRoute, encodeRoute } from '../../../src/linux/rtnetlink/route.ts';
import { decodeRule, encodeRule } from '../../../src/linux/rtnetlink/rule.ts';
import type { AddressRequest, Route, Rule } from '../../../src/linux/types.ts';
import { bytesOf, vectors } from './vectors.ts';

type Decoder = (bytes: Uint8Array, littleEndian: boolean) => unknown;

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

/** Bytes from nothing, and recorded messages with some bytes changed and the end cut off or grown. */
const hostile = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .tuple(
      fc.constantFrom(...Object.values(vectors)),
      fc.array(fc.tuple(fc.nat(1200), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
      fc.nat(1300),
    )
    .map(([hex, changes, length]) => {
      const recorded = bytesOf(hex);
      const bytes = new Uint8Array(Math.min(length, recorded.length + 16));
      bytes.set(recorded.subarray(0, bytes.length));
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    }),
);

for (const [name, decode] of Object.entries(decoders)) {
  test(`${name}: any bytes give a value or a DecodeError, and are left as they were`, () => {
    fc.assert(
      fc.property(hostile, fc.boolean(), (bytes, littleEndian) => {
        const before = bytes.slice();
        try {
          decode(bytes, littleEndian);
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error));
          assert.ok(error.offset >= 0 && error.offset <= bytes.length);
        }
        assert.deepEqual(bytes, before);
      }),
      { numRuns: 1500 },
    );
  });
}

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
