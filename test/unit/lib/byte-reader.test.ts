import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader } from '../../../src/lib/bytes.ts';
import { DecodeError } from '../../../src/lib/errors.ts';

test('fields are read in network order, from where the last one ended', () => {
  const reader = new ByteReader('test', Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
  assert.equal(reader.u8('a'), 1);
  assert.equal(reader.u16('b'), 0x0203);
  assert.equal(reader.u32('c'), 0x04050607);
  assert.equal(reader.offset, 7);
  assert.equal(reader.remaining, 2);
  reader.skip('d', 1);
  assert.deepEqual(reader.bytesOf('e', 1), Uint8Array.of(9));
});

test('a view into a larger buffer ends where the view ends', () => {
  const whole = Uint8Array.of(1, 2, 3, 4, 5);
  const reader = new ByteReader('test', whole.subarray(1, 3));
  assert.equal(reader.u16('a'), 0x0203);
  assert.throws(() => reader.u8('b'), DecodeError);
});

test('what is kept is a copy, also of a Buffer', () => {
  const received = Buffer.from([1, 2, 3]);
  const kept = new ByteReader('test', received).bytesOf('a', 2);
  received.fill(0xff);
  assert.deepEqual(Array.from(kept), [1, 2]);
});

test('the error names protocol, field and offset', () => {
  const reader = new ByteReader('arp', Uint8Array.of(0, 1, 8));
  reader.u16('hardware type');
  assert.throws(() => reader.u16('protocol type'), {
    name: 'DecodeError',
    code: 'DECODE',
    message: 'arp: protocol type at byte 2: needs 2 bytes, 1 left',
    offset: 2,
  });
});

test('no sequence of reads passes the end: each gives a value or a DecodeError', () => {
  const step = fc.constantFrom('u8', 'u16', 'u32', 'skip', 'bytesOf');
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 32 }),
      fc.array(fc.tuple(step, fc.integer({ min: -4, max: 40 }))),
      (bytes, steps) => {
        const reader = new ByteReader('test', bytes);
        for (const [kind, length] of steps) {
          const before = reader.offset;
          try {
            if (kind === 'skip' || kind === 'bytesOf') reader[kind]('f', length);
            else reader[kind]('f');
          } catch (error) {
            assert.ok(error instanceof DecodeError);
            assert.equal(reader.offset, before);
          }
          assert.ok(reader.offset <= bytes.length);
          assert.equal(reader.offset + reader.remaining, bytes.length);
        }
      },
    ),
  );
});
