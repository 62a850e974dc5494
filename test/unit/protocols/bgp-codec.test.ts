import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { decodeMessage, encodeMessage, MessageFramer } from '../../../src/protocols/bgp/codec.ts';
import { BgpDecodeError, describeNotification } from '../../../src/protocols/bgp/errors.ts';
import type { BgpMessage, Capability, Update } from '../../../src/protocols/bgp/types.ts';
import { decodeUpdate, encodeUpdate } from '../../../src/protocols/bgp/update.ts';
import { fromHex, toHex } from './hex.ts';

interface Vector {
  readonly name: string;
  readonly source: string;
  readonly hex: string;
  readonly message: object;
  /** An UPDATE's content. */
  readonly update?: object;
  readonly asOctets?: 2 | 4;
  /** Encoding gives other bytes, for this reason. */
  readonly decodeOnly?: string;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/bgp/messages.json', import.meta.url), 'utf8'),
) as readonly Vector[];

/** Bytes as hex, so that a vector can be written as JSON. */
function readable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, field: unknown) => (field instanceof Uint8Array ? toHex(field) : field)),
  ) as unknown;
}

describe('BGP messages', () => {
  for (const vector of vectors) {
    test(`${vector.name}: bytes ↔ value`, () => {
      const message = decodeMessage(fromHex(vector.hex));
      if (message.type === 'update' && vector.update !== undefined) {
        const asOctets = vector.asOctets ?? 4;
        const update = decodeUpdate(message.body, asOctets);
        assert.deepEqual(readable(update), vector.update);
        if (vector.decodeOnly !== undefined) return;
        const body = encodeUpdate(update, asOctets);
        assert.equal(toHex(encodeMessage({ type: 'update', body })), toHex(fromHex(vector.hex)));
        return;
      }
      assert.deepEqual(readable(message), vector.message);
      if (vector.decodeOnly === undefined)
        assert.equal(toHex(encodeMessage(message)), toHex(fromHex(vector.hex)));
    });
  }
});

const marker = 'ff'.repeat(16);

/** The NOTIFICATION that these bytes deserve, as code/subcode/data. */
function complaint(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    assert.ok(error instanceof BgpDecodeError, String(error));
    const { code, subcode, data } = error.notification;
    return [code, subcode, toHex(data)].join('/');
  }
  return 'accepted';
}

describe('BGP messages that are refused (RFC 4271 6.1, 6.2)', () => {
  const rows: readonly (readonly [name: string, hex: string, notification: string])[] = [
    ['a marker with a zero', `00${'ff'.repeat(15)} 0013 04`, '1/1/'],
    ['a length below the header', `${marker} 0012 04`, '1/2/0012'],
    ['a length above 4096', `${marker} 1001 02`, '1/2/1001'],
    ['a KEEPALIVE with a body', `${marker} 0014 04 00`, '1/2/0014'],
    ['an OPEN that is too short', `${marker} 001c 01 04 fde8 001e 0a000001`, '1/2/001c'],
    ['an unknown type', `${marker} 0013 06`, '1/3/06'],
    [
      'an optional parameter that is no capability',
      `${marker} 0020 01 04 fde8 001e 0a000001 03 010100`,
      '2/4/',
    ],
    ['parameters that run past the end', `${marker} 001d 01 04 fde8 001e 0a000001 05`, '2/0/'],
    [
      'a capability that runs past its parameter',
      `${marker} 0021 01 04 fde8 001e 0a000001 04 02020104`,
      '2/0/',
    ],
  ];
  for (const [name, hex, notification] of rows) {
    test(name, () => {
      assert.equal(
        complaint(() => decodeMessage(fromHex(hex))),
        notification,
      );
    });
  }

  test('an UPDATE whose attributes run past the end is a malformed attribute list', () => {
    const body = fromHex('0000 0009 400101 00');
    assert.equal(
      complaint(() => decodeUpdate(body, 4)),
      '3/1/',
    );
  });
});

describe('BGP framing', () => {
  const keepalive = encodeMessage({ type: 'keepalive' });
  const notification = encodeMessage({ type: 'notification', code: 6, subcode: 2, data: fromHex('00') });

  test('messages come out whole however the stream is cut', () => {
    const stream = Buffer.concat([keepalive, notification, keepalive]);
    for (let size = 1; size <= stream.length; size++) {
      const framer = new MessageFramer();
      const messages: string[] = [];
      for (let at = 0; at < stream.length; at += size)
        messages.push(...framer.push(stream.subarray(at, at + size)).map(toHex));
      assert.deepEqual(messages, [keepalive, notification, keepalive].map(toHex), `cut every ${size}`);
    }
  });

  test('a bad header is refused as soon as it is there, not when its message would be', () => {
    const framer = new MessageFramer();
    framer.push(fromHex(`${marker} 0fff`));
    assert.equal(
      complaint(() => framer.push(fromHex('09'))),
      '1/3/09',
    );
  });

  test('a kept piece is a copy: the socket may use its buffer again', () => {
    const framer = new MessageFramer();
    const chunk = Uint8Array.from(keepalive.subarray(0, 18));
    framer.push(chunk);
    chunk.fill(0);
    assert.deepEqual(framer.push(keepalive.subarray(18)).map(toHex), [toHex(keepalive)]);
  });
});

test('OPEN with extended optional parameters (RFC 9072) is understood', () => {
  const capability = '02 0004 01 02 0001'.replaceAll(' ', '');
  const hex = `${marker} ${(29 + 3 + capability.length / 2).toString(16).padStart(4, '0')} 01 04 fde8 001e 0a000001 ff ff ${(capability.length / 2).toString(16).padStart(4, '0')} ${capability}`;
  const open = decodeMessage(fromHex(hex));
  assert.ok(open.type === 'open');
  assert.deepEqual(readable(open.capabilities), [{ kind: 'unknown', code: 1, value: '0001' }]);
});

test('a prefix with bits set beyond its length is the prefix', () => {
  const { nlri } = decodeUpdate(fromHex('0000 0000 0c 0a7f'), 4);
  assert.deepEqual(nlri, [{ address: '10.112.0.0', length: 12 }]);
});

test('an AS that does not fit becomes AS_TRANS for a peer with narrow AS numbers', () => {
  const update: Update = {
    withdrawn: [],
    attributes: [{ kind: 'as-path', segments: [{ kind: 'sequence', ases: [4_200_000_000] }] }],
    nlri: [{ address: ip('192.0.2.1'), length: 32 }],
  };
  const narrow = decodeUpdate(encodeUpdate(update, 2), 2);
  assert.deepEqual(narrow.attributes, [
    { kind: 'as-path', segments: [{ kind: 'sequence', ases: [23_456] }] },
  ]);
});

test('what does not fit into one message is refused by the encoder', () => {
  assert.throws(() => encodeMessage({ type: 'update', body: new Uint8Array(4096) }), RangeError);
  const capabilities: readonly Capability[] = [
    { kind: 'unknown', code: 200, value: new Uint8Array(200) },
    { kind: 'unknown', code: 201, value: new Uint8Array(100) },
  ];
  const open: BgpMessage = {
    type: 'open',
    version: 4,
    as: 1,
    holdTime: 30,
    routerId: ip('192.0.2.1'),
    capabilities,
  };
  assert.throws(() => encodeMessage(open), RangeError);
});

test('a NOTIFICATION is put into words', () => {
  const words = (code: number, subcode: number): string =>
    describeNotification({ code, subcode, data: new Uint8Array() });
  assert.equal(words(6, 2), 'cease, administrative shutdown (6/2)');
  assert.equal(words(2, 2), 'OPEN message error, bad peer AS (2/2)');
  assert.equal(words(99, 1), 'unknown error (99/1)');
});

test('what an administrator says about a shutdown or a reset (RFC 9003) is quoted', () => {
  const words = (subcode: number, length: number, text: string): string =>
    describeNotification({ code: 6, subcode, data: Uint8Array.of(length, ...Buffer.from(text)) });
  assert.equal(
    words(2, 11, 'bis fünf\n\u0007'),
    'cease, administrative shutdown (6/2): "bis fünf\\n\\u0007"',
  );
  assert.equal(words(4, 4, 'moment'), 'cease, administrative reset (6/4): "mome"');
  assert.equal(words(4, 0, ''), 'cease, administrative reset (6/4)');
  assert.equal(words(2, 9, 'cut'), 'cease, administrative shutdown (6/2)');
  assert.equal(words(1, 1, 'x'), 'cease, maximum number of prefixes reached (6/1)');
});
