import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../../src/lib/errors.ts';
import { decodeConnection } from '../../../src/linux/conntrack/codec.ts';
import { decodeFamilyId } from '../../../src/linux/genetlink.ts';
import * as ipvs from '../../../src/linux/ipvs/codec.ts';
import { parseConnections } from '../../../src/linux/ipvs/connections.ts';
import * as nft from '../../../src/linux/nftables/decode.ts';
import { bytesOf, vectors } from './vectors.ts';

type Decoder = (bytes: Uint8Array, littleEndian: boolean) => unknown;

const decoders: Readonly<Record<string, Decoder>> = {
  'a table': nft.decodeTable,
  'a chain': nft.decodeChain,
  'a rule': nft.decodeRule,
  'a set': nft.decodeSet,
  elements: nft.decodeElements,
  'a table name': nft.decodeTableName,
  'a connection': decodeConnection,
  'a family': decodeFamilyId,
  'a service': ipvs.decodeService,
  'a destination': (bytes, littleEndian) => ipvs.decodeDestination(bytes, 4, littleEndian),
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
  test(`${name}: any bytes give a value or a DecodeError`, () => {
    fc.assert(
      fc.property(hostile, fc.boolean(), (bytes, littleEndian) => {
        try {
          decode(bytes, littleEndian);
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error));
        }
      }),
    );
  });
}

test('any text gives connections of which there are at most as many as asked for', () => {
  const words = fc.constantFrom('TCP', 'UDP', '0A4D0001', '192B', '[fd77::1]', 'ESTABLISHED', 'x', '', '-1');
  const line = fc.array(words, { maxLength: 9 }).map((parts) => parts.join(' '));
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string())), fc.nat(5), (lines, limit) => {
      assert.ok(parseConnections(lines.join('\n'), limit).length <= limit);
    }),
  );
});
