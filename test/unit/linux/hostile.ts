import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../../src/lib/errors.ts';
import { bytesOf } from './vectors.ts';
import { runs } from '../../../src/testing/runs.ts';

export type Decoder = (bytes: Uint8Array, littleEndian: boolean) => unknown;

/** Bytes from nothing, and recorded messages with some bytes changed and the end cut off or grown. */
function hostile(recordings: readonly string[]): fc.Arbitrary<Uint8Array> {
  const damaged = fc
    .tuple(
      fc.constantFrom(...recordings),
      fc.array(fc.tuple(fc.nat(1200), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
      fc.nat(1300),
    )
    .map(([hex, changes, length]) => {
      const recorded = bytesOf(hex);
      const bytes = new Uint8Array(Math.min(length, recorded.length + 16));
      bytes.set(recorded.subarray(0, bytes.length));
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    });
  return fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged);
}

/** A test for each decoder: whatever the bytes, it gives a value or a DecodeError and changes none of them. */
export function testHostileBytes(
  decoders: Readonly<Record<string, Decoder>>,
  recordings: readonly string[],
): void {
  const bytesOfAnyKind = hostile(recordings);
  for (const [name, decode] of Object.entries(decoders)) {
    test(`${name}: any bytes give a value or a DecodeError, and are left as they were`, () => {
      fc.assert(
        fc.property(bytesOfAnyKind, fc.boolean(), (bytes, littleEndian) => {
          const before = bytes.slice();
          try {
            decode(bytes, littleEndian);
          } catch (error) {
            assert.ok(error instanceof DecodeError, String(error));
            assert.ok(error.offset >= 0 && error.offset <= bytes.length);
          }
          assert.deepEqual(bytes, before);
        }),
        { numRuns: runs(1500) },
      );
    });
  }
}
