import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DecodeError } from '../../../src/lib/errors.ts';
import { ip, type Mac } from '../../../src/lib/ip.ts';
import {
  ARP_REPLY,
  decodeArpFrame,
  encodeArpFrame,
  encodeGratuitousArp,
  readdressGratuitousArp,
  type ArpPacket,
  type GratuitousForm,
  type HardwareType,
  type LinkAddressing,
} from '../../../src/protocols/index.ts';
import vectors from '../../vectors/arp/gratuitous.json' with { type: 'json' };
import { ethernet } from './ethernet.ts';
import { fromHex, toHex } from './hex.ts';

for (const vector of vectors) {
  test(`ARP vector: ${vector.name}`, () => {
    const bytes = fromHex(vector.hex);
    const { header, packet } = decodeArpFrame(bytes, vector.hardwareType as HardwareType);
    assert.deepEqual({ ...packet }, vector.packet);
    const wanted = vector.packet as unknown as ArpPacket;
    const link: LinkAddressing = {
      hardwareType: packet.hardwareType,
      mac: wanted.senderMac,
      broadcast: header.destination,
    };
    const again = encodeArpFrame(link, header.destination, wanted);
    assert.equal(toHex(again), toHex(bytes.subarray(0, again.length)));
    if (vector.gratuitous !== undefined) {
      const frame = encodeGratuitousArp(link, wanted.senderIp, vector.gratuitous as GratuitousForm);
      assert.equal(toHex(frame), toHex(bytes));
    }
  });
}

test('the two gratuitous forms differ in operation and target hardware address only', () => {
  const reply = decodeArpFrame(encodeGratuitousArp(ethernet, ip('192.0.2.1'), 'reply'), 1);
  const request = decodeArpFrame(encodeGratuitousArp(ethernet, ip('192.0.2.1'), 'request'), 1);
  assert.equal(reply.packet.operation, ARP_REPLY);
  assert.equal(reply.packet.targetMac, ethernet.mac);
  assert.equal(request.packet.targetMac, ethernet.broadcast);
  assert.deepEqual(
    { ...request, packet: { ...request.packet, operation: 2, targetMac: ethernet.mac } },
    reply,
  );
  assert.equal(reply.header.destination, ethernet.broadcast);
});

test('the announcement of another VIP differs in two places, whatever the link is', () => {
  const twenty = Array.from({ length: 20 }, (_, i) => (i + 16).toString(16)).join(':') as Mac;
  const infiniband: LinkAddressing = { hardwareType: 32, mac: twenty, broadcast: twenty };
  for (const link of [ethernet, infiniband]) {
    for (const form of ['reply', 'request'] as const) {
      const pattern = encodeGratuitousArp(link, ip('192.0.2.1'), form);
      const made = pattern.slice();
      readdressGratuitousArp(made, link.hardwareType, ip('203.0.113.77'));
      assert.equal(toHex(made), toHex(encodeGratuitousArp(link, ip('203.0.113.77'), form)));
      assert.equal(toHex(pattern), toHex(encodeGratuitousArp(link, ip('192.0.2.1'), form)));
    }
  }
  const pattern = encodeGratuitousArp(ethernet, ip('192.0.2.1'), 'reply');
  assert.throws(() => readdressGratuitousArp(pattern, 1, ip('2001:db8::1')), RangeError);
});

test('a frame that is not ARP for IPv4 over this link is a DecodeError that names the field', () => {
  const good = toHex(encodeGratuitousArp(ethernet, ip('192.0.2.1'), 'reply'));
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ['cut off', good.slice(0, -2), /arp: target protocol address at byte 38/],
    ['another EtherType', good.replace('0806', '0800'), /ethertype/],
    ['another hardware type', good.replace('08060001', '08060020'), /hardware type at byte 16: 32, not 1/],
    ['another protocol', good.replace('00010800', '000186dd'), /protocol type/],
    ['another hardware length', good.replace('08000604', '08001404'), /hardware length/],
    ['another protocol length', good.replace('08000604', '08000610'), /protocol length/],
  ];
  for (const [name, hex, message] of rows) {
    assert.throws(
      () => decodeArpFrame(fromHex(hex), 1),
      (error) => error instanceof DecodeError && message.test(error.message),
      name,
    );
  }
});

test('addresses that do not fit the link are refused before anything is sent', () => {
  const link = { ...ethernet, mac: '80:00:02:08' as Mac };
  assert.throws(() => encodeGratuitousArp(link, ip('192.0.2.1'), 'reply'), RangeError);
  assert.throws(() => encodeGratuitousArp(ethernet, ip('2001:db8::1'), 'reply'), RangeError);
});
