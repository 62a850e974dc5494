import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import {
  address,
  AttributeTable,
  flag,
  mac,
  nested,
  nestedList,
  raw,
  s32,
  text,
  u16,
  u16be,
  u32,
  u32be,
  u64,
  u64be,
  u8,
} from '../../../src/linux/netlink/attributes.ts';
import {
  decodeAck,
  NLMSG_DONE,
  NLMSG_ERROR,
  splitMessages,
  writeMessage,
} from '../../../src/linux/netlink/message.ts';
import { NlReader, NlWriter } from '../../../src/linux/netlink/wire.ts';
import { macFromBytes } from '../../../src/lib/ip.ts';

const inner = new AttributeTable('test inner', { name: [1, text], number: [2, u32] });
const table = new AttributeTable('test', {
  byte: [1, u8],
  short: [2, u16],
  word: [3, u32],
  signed: [4, s32],
  long: [5, u64],
  port: [6, u16be],
  wordBe: [7, u32be],
  longBe: [8, u64be],
  text: [9, text],
  ip: [10, address],
  mac: [11, mac],
  raw: [12, raw],
  flag: [13, flag],
  nested: [14, nested(inner)],
  list: [15, nestedList(inner)],
});
const value = {
  byte: 0x12,
  short: 0x1234,
  word: 0x12345678,
  signed: -2,
  long: 0x123456789abcdef0n,
  port: 443,
  wordBe: 1,
  longBe: 2n,
  text: 'eth0',
  ip: ip('2001:db8::1'),
  mac: macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 1)),
  raw: Uint8Array.of(1, 2, 3),
  flag: true as const,
  nested: { name: 'a', number: 7 },
  list: [{ name: 'b' }, { number: 9 }],
  unknown: [{ type: 0x8000 | 99, payload: Uint8Array.of(5) }],
};

test('attributes of every type, unknown ones included, survive in both byte orders', () => {
  for (const littleEndian of [true, false]) {
    const writer = new NlWriter(littleEndian);
    table.encode(writer, value);
    const bytes = writer.done();
    assert.equal(bytes.length % 4, 0);
    assert.deepEqual(table.decode(new NlReader('test', bytes, littleEndian), { keepUnknown: true }), value);
    assert.equal(table.decode(new NlReader('test', bytes, littleEndian)).unknown, undefined);
  }
});

test('host order and network order on the wire', () => {
  const writer = new NlWriter(true);
  table.encode(writer, { short: 0x0102, port: 0x0102, nested: { number: 1 } });
  assert.equal(
    Buffer.from(writer.done()).toString('hex'),
    ['06000200', '02010000', '06000600', '01020000', '0c000e80', '08000200', '01000000'].join(''),
  );
});

test('an attribute that says it is longer than what holds it is refused where it starts', () => {
  const bytes = Uint8Array.of(8, 0, 3, 0, 1, 0);
  assert.throws(() => table.decode(new NlReader('test', bytes, true)), {
    code: 'DECODE',
    field: 'attribute payload',
    offset: 4,
  });
  const short = Uint8Array.of(3, 0, 3, 0);
  assert.throws(() => table.decode(new NlReader('test', short, true)), { field: 'attribute length' });
  const narrow = Uint8Array.of(6, 0, 3, 0, 1, 0);
  assert.throws(() => table.decode(new NlReader('test', narrow, true)), {
    protocol: 'test.word',
    field: 'word',
  });
});

test('a datagram is cut into messages, padding between them skipped', () => {
  for (const littleEndian of [true, false]) {
    const writer = new NlWriter(littleEndian);
    writeMessage(writer, { type: 20, flags: 5, sequence: 77, payload: Uint8Array.of(1) });
    writeMessage(writer, { type: 21, flags: 1, sequence: 78, payload: new Uint8Array(200).fill(3) });
    const bytes = writer.done();
    const messages = splitMessages(bytes, littleEndian);
    assert.deepEqual(
      messages.map(({ type, flags, sequence, payload }) => [type, flags, sequence, payload.length]),
      [
        [20, 5, 77, 1],
        [21, 1, 78, 200],
      ],
    );
    assert.throws(() => splitMessages(bytes.subarray(0, bytes.length - 4), littleEndian), { code: 'DECODE' });
  }
});

test('an extended acknowledgement: the text and offset of the kernel', () => {
  const refusal = (isCapped: boolean): NlWriter => {
    const writer = new NlWriter(true).s32(-22);
    writer.u32(isCapped ? 40 : 24).zeros(12);
    if (!isCapped) writer.zeros(8);
    writer
      .u16(4 + 5)
      .u16(1)
      .bytes(Buffer.from('oops\0'))
      .pad4();
    writer.u16(8).u16(2).u32(36);
    return writer;
  };
  for (const [isCapped, flags] of [
    [true, 0x300],
    [false, 0x200],
  ] as const) {
    const payload = refusal(isCapped).done();
    const ack = decodeAck({ type: NLMSG_ERROR, flags, sequence: 1, portId: 0, payload }, true);
    assert.deepEqual(ack, { errno: 22, kernelText: 'oops', offset: 36 });
  }
});

test('a missing attribute is named when the kernel has no text', () => {
  const payload = new NlWriter(true).s32(-22).u32(16).zeros(12).u16(6).u16(5).u16(7).pad4().done();
  const ack = decodeAck({ type: NLMSG_ERROR, flags: 0x300, sequence: 1, portId: 0, payload }, true);
  assert.equal(ack.kernelText, 'attribute 7 is missing');
});

test('success, the end of a dump, and an end that carries an error', () => {
  const zero = new NlWriter(true).s32(0).u32(16).zeros(12).done();
  const message = { flags: 0, sequence: 1, portId: 0 };
  assert.equal(decodeAck({ ...message, type: NLMSG_ERROR, payload: zero }, true).errno, 0);
  assert.equal(decodeAck({ ...message, type: NLMSG_DONE, payload: new Uint8Array(0) }, true).errno, 0);
  const busy = new NlWriter(true).s32(-16).done();
  assert.equal(decodeAck({ ...message, type: NLMSG_DONE, payload: busy }, true).errno, 16);
});

test('a writer grows in the middle of any field', () => {
  for (let start = 120; start < 129; start++) {
    const bytes = new NlWriter(true).zeros(start).u64(1n).bytes(Uint8Array.of(9)).done();
    assert.deepEqual([...bytes.slice(start)], [1, 0, 0, 0, 0, 0, 0, 0, 9]);
  }
});
