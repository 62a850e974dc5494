import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  familyOf,
  formatPrefix,
  hostLength,
  ip,
  ipFromBytes,
  ipToBytes,
  isLinkLocal,
  macFromBytes,
  macToBytes,
  parseIp,
  parsePrefix,
} from '../../../src/lib/ip.ts';

describe('an address is parsed strictly, to one spelling', () => {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['192.0.2.10', '192.0.2.10'],
    ['0.0.0.0', '0.0.0.0'],
    ['192.0.2', undefined],
    ['192.0.2.010', undefined],
    ['192.0.2.256', undefined],
    ['0xc0.0.2.1', undefined],
    ['3221225994', undefined],
    [' 192.0.2.1', undefined],
    ['192.0.2.1/32', undefined],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['::', '::'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['fe80::1%eth0', undefined],
    ['[::1]', undefined],
    ['2001:db8::1::2', undefined],
    ['2001:db8:0:0:0:0:0:0:1', undefined],
    ['', undefined],
    ['localhost', undefined],
  ];
  for (const [text, expected] of rows) {
    test(`${JSON.stringify(text)} is ${expected ?? 'not an address'}`, () => {
      assert.equal(parseIp(text), expected);
    });
  }

  test('whatever the text, the result is an address that parses to itself', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (text) => {
        const parsed = parseIp(text);
        if (parsed === undefined) return;
        assert.equal(isIP(parsed), familyOf(parsed));
        assert.equal(parseIp(parsed), parsed);
      }),
    );
  });
});

test('bytes and text of an address are two forms of one value', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
      ),
      (bytes) => {
        const address = ipFromBytes(bytes);
        assert.deepEqual(ipToBytes(address), bytes);
        assert.equal(hostLength(address), bytes.length * 8);
        assert.equal(parseIp(address), address);
      },
    ),
  );
  assert.throws(() => ipFromBytes(new Uint8Array(5)), /4 or 16 bytes, not 5/);
});

test('a constant that is not an address is a programming error', () => {
  assert.throws(() => ip('192.0.2'), /not an IP address: 192\.0\.2/);
});

test('link-local addresses are known in both families', () => {
  assert.deepEqual(
    ['169.254.1.1', 'fe80::1', 'febf::1', '192.0.2.1', 'fec0::1', '2001:db8::1'].map((text) =>
      isLinkLocal(ip(text)),
    ),
    [true, true, true, false, false, false],
  );
});

describe('a prefix is an address and a length that fits it', () => {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['192.0.2.1/24', '192.0.2.1/24'],
    ['192.0.2.1/0', '192.0.2.1/0'],
    ['192.0.2.1/33', undefined],
    ['2001:DB8::1/64', '2001:db8::1/64'],
    ['2001:db8::1/129', undefined],
    ['192.0.2.1', undefined],
    ['192.0.2.1/', undefined],
    ['192.0.2.1/-1', undefined],
    ['192.0.2.1/2 4', undefined],
    ['/24', undefined],
  ];
  for (const [text, expected] of rows) {
    test(`${text} is ${expected ?? 'not a prefix'}`, () => {
      const prefix = parsePrefix(text);
      assert.equal(prefix && formatPrefix(prefix), expected);
    });
  }
});

test('bytes and text of a link-layer address are two forms of one value, of any length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
      assert.deepEqual(macToBytes(macFromBytes(bytes)), bytes);
    }),
  );
  assert.equal(macFromBytes(Uint8Array.of(2, 0, 0, 0xab, 0, 1)), '02:00:00:ab:00:01');
});
