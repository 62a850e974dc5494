import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../../src/lib/errors.ts';
import { ipFromBytes, type Family, type Prefix } from '../../../src/lib/ip.ts';
import { decodeMessage, encodeMessage, MessageFramer } from '../../../src/protocols/bgp/codec.ts';
import type { BgpMessage, Capability, PathAttribute, Update } from '../../../src/protocols/bgp/types.ts';
import { decodeUpdate, encodeUpdate, packUpdates } from '../../../src/protocols/bgp/update.ts';
import { runs } from '../../../src/testing/runs.ts';

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const address = (family: Family) => bytes(family === 4 ? 4 : 16).map(ipFromBytes);
/** As decoders make them. */
const record = <T>(model: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffff_ffff);

const prefix = (family: Family): fc.Arbitrary<Prefix> =>
  fc.tuple(bytes(family === 4 ? 4 : 16), fc.nat(family === 4 ? 32 : 128)).map(([raw, length]) => {
    const clear = raw.map((octet, i) => octet & ~(0xff >> Math.max(0, Math.min(8, length - i * 8))));
    return { address: ipFromBytes(clear), length };
  });
const prefixes = (family: Family) => fc.array(prefix(family), { maxLength: 8 });

const capability: fc.Arbitrary<Capability> = fc.oneof(
  record({ kind: fc.constant('multiprotocol' as const), afi: u16, safi: fc.nat(255) }),
  fc.constant<Capability>({ kind: 'route-refresh' }),
  record({ kind: fc.constant('four-octet-as' as const), as: u32 }),
  record({
    kind: fc.constant('fqdn' as const),
    host: fc.stringMatching(/^[a-z0-9-]{0,20}$/),
    domain: fc.stringMatching(/^[a-z.]{0,20}$/),
  }),
  record({
    kind: fc.constant('unknown' as const),
    code: fc.integer({ min: 128, max: 255 }),
    value: fc.uint8Array({ maxLength: 20 }),
  }),
);

const message: fc.Arbitrary<BgpMessage> = fc.oneof(
  record({
    type: fc.constant('open' as const),
    version: fc.nat(255),
    as: u16,
    holdTime: u16,
    routerId: address(4),
    capabilities: fc.array(capability, { maxLength: 4 }),
  }),
  record({ type: fc.constant('update' as const), body: fc.uint8Array({ minLength: 4, maxLength: 400 }) }),
  fc.constant<BgpMessage>({ type: 'keepalive' }),
  record({
    type: fc.constant('notification' as const),
    code: fc.nat(255),
    subcode: fc.nat(255),
    data: fc.uint8Array({ maxLength: 60 }),
  }),
  record({ type: fc.constant('route-refresh' as const), afi: u16, safi: fc.nat(255) }),
);

const attribute: fc.Arbitrary<PathAttribute> = fc.oneof(
  record({
    kind: fc.constant('origin' as const),
    origin: fc.constantFrom('igp' as const, 'egp' as const, 'incomplete' as const),
  }),
  record({
    kind: fc.constant('as-path' as const),
    segments: fc.array(
      record({
        kind: fc.constantFrom('set' as const, 'sequence' as const),
        ases: fc.array(u32, { maxLength: 80 }),
      }),
      { maxLength: 3 },
    ),
  }),
  record({ kind: fc.constant('next-hop' as const), nextHop: address(4) }),
  record({ kind: fc.constant('local-pref' as const), preference: u32 }),
  fc.constantFrom<Family>(4, 6).chain((family) =>
    record({
      kind: fc.constant('mp-reach' as const),
      family: fc.constant(family),
      // IPv4 routes with an IPv4 next hop; 16 octets of next hop are one IPv6 address, not four others.
      nextHops: fc.array(address(family), { minLength: 1, maxLength: family === 6 ? 2 : 1 }),
      nlri: prefixes(family),
    }),
  ),
  fc.constantFrom<Family>(4, 6).chain((family) =>
    record({
      kind: fc.constant('mp-unreach' as const),
      family: fc.constant(family),
      withdrawn: prefixes(family),
    }),
  ),
  record({
    kind: fc.constant('unknown' as const),
    flags: fc.constantFrom(0x40, 0x80, 0xc0, 0xe0),
    code: fc.integer({ min: 16, max: 255 }),
    value: fc.uint8Array({ maxLength: 300 }),
  }),
);
const update: fc.Arbitrary<Update> = record({
  withdrawn: prefixes(4),
  attributes: fc.array(attribute, { maxLength: 6 }),
  nlri: prefixes(4),
});

function valueOrDecodeError(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error));
  }
}

test('any BGP message survives encoding and decoding, in any pieces', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), fc.integer({ min: 1, max: 64 }), (messages, size) => {
      const stream = Buffer.concat(messages.map(encodeMessage));
      const framer = new MessageFramer();
      const heard: BgpMessage[] = [];
      for (let at = 0; at < stream.length; at += size)
        heard.push(...framer.push(stream.subarray(at, at + size)).map(decodeMessage));
      assert.deepEqual(heard, messages);
    }),
  );
});

test('any UPDATE survives encoding and decoding', () => {
  fc.assert(
    fc.property(update, (value) => {
      assert.deepEqual(decodeUpdate(encodeUpdate(value, 4), 4), value);
    }),
  );
});

test('any bytes are BGP or a DecodeError', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(2 as const, 4 as const),
      (raw, asOctets) => {
        valueOrDecodeError(() => decodeMessage(raw));
        valueOrDecodeError(() => decodeUpdate(raw, asOctets));
        valueOrDecodeError(() => new MessageFramer().push(raw));
      },
    ),
    { numRuns: runs(2000) },
  );
});

/** Good messages with a few bytes changed reach deeper than noise does. */
test('any damage to a good BGP message gives a value or a DecodeError', () => {
  const damage = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(message, update, damage, (good, routes, changes) => {
      const whole = encodeMessage(good);
      const body = encodeUpdate(routes, 4);
      for (const [at, value] of changes) {
        // The header is the framer's, whose own damage is above; the length stays right.
        if (at + 19 < whole.length) whole[at + 19] = value;
        if (at < body.length) body[at] = value;
      }
      valueOrDecodeError(() => decodeMessage(whole));
      valueOrDecodeError(() => decodeUpdate(body, 4));
      valueOrDecodeError(() => decodeUpdate(body, 2));
    }),
    { numRuns: runs(2000) },
  );
});

test('many routes go into messages that fit, none lost and none twice', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3000 }), (count) => {
      const all = Array.from({ length: count }, (_, n): Prefix => {
        return { address: ipFromBytes(Uint8Array.of(10, n >> 16, (n >> 8) & 255, n & 255)), length: 32 };
      });
      const updates = packUpdates(all, (nlri) => ({ withdrawn: [], attributes: [], nlri }));
      for (const each of updates) encodeMessage({ type: 'update', body: encodeUpdate(each, 4) });
      assert.deepEqual(
        updates.flatMap(({ nlri }) => nlri),
        all,
      );
    }),
    { numRuns: runs(50) },
  );
});
