import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DecodeError } from '../../../src/lib/errors.ts';
import { ip, type Ip, type Mac } from '../../../src/lib/ip.ts';
import {
  decodeNdpFrame,
  encodeUnsolicitedAdvertisement,
  icmpv6Checksum,
  isDuplicateAddressProbe,
  type HardwareType,
} from '../../../src/protocols/index.ts';
import vectors from '../../vectors/ndp/neighbour.json' with { type: 'json' };
import { ethernet } from './ethernet.ts';
import { fromHex, toHex } from './hex.ts';

const linkLocal = ip('fe80::5eff:fe10:1');

for (const vector of vectors) {
  test(`NDP vector: ${vector.name}`, () => {
    const bytes = fromHex(vector.hex);
    const frame = decodeNdpFrame(bytes, vector.hardwareType as HardwareType);
    assert.equal(frame.header.source, vector.linkSource);
    assert.equal(frame.source, vector.ipSource);
    assert.equal(frame.destination, vector.ipDestination);
    assert.deepEqual(JSON.parse(JSON.stringify(frame.message)), vector.message);
    assert.equal(isDuplicateAddressProbe(frame), vector.duplicateAddressProbe === true);
    if (vector.unsolicitedFor !== undefined) {
      const link = { ...ethernet, mac: vector.linkSource as Mac };
      const sent = encodeUnsolicitedAdvertisement(link, vector.ipSource as Ip, vector.unsolicitedFor as Ip);
      assert.equal(toHex(sent), toHex(bytes));
    }
  });
}

test('an advertisement for InfiniBand has a padded 20-byte option and a group address of the partition', () => {
  const mac = '80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:10:00:01' as Mac;
  const broadcast = '00:ff:ff:ff:ff:12:40:1b:80:01:00:00:00:00:00:00:ff:ff:ff:ff' as Mac;
  const frame = encodeUnsolicitedAdvertisement(
    { hardwareType: 32, mac, broadcast },
    linkLocal,
    ip('2001:db8::1'),
  );
  // RFC 4391 4: scope nibble and P_Key of the broadcast address, IPv6 signature 601b, group ID 1.
  assert.equal(toHex(frame.subarray(0, 24)), '00ffffffff12601b800100000000000000000001' + '86dd0000');
  assert.equal(frame.length, 24 + 40 + 24 + 24);
  assert.equal(toHex(frame.subarray(88, 92)), '02030000');
  const decoded = decodeNdpFrame(frame, 32);
  assert.equal(decoded.message.kind === 'advertisement' && decoded.message.targetMac, mac);
});

/** A good advertisement with bytes replaced, and the checksum made right again unless told otherwise. */
function bent(changes: Readonly<Record<number, number>>, keepChecksum = false): Uint8Array {
  const bytes = encodeUnsolicitedAdvertisement(ethernet, linkLocal, ip('2001:db8::1'));
  for (const [at, value] of Object.entries(changes)) bytes[Number(at)] = value;
  if (!keepChecksum) {
    bytes.fill(0, 56, 58);
    const sum = icmpv6Checksum(linkLocal, ip('ff02::1'), bytes.subarray(54));
    new DataView(bytes.buffer).setUint16(56, sum);
  }
  return bytes;
}

test('what RFC 4861 7.1 forbids is a DecodeError that names the field', () => {
  const rows: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['cut off', bent({}).subarray(0, 80), /payload/],
    ['another EtherType', bent({ 12: 0x08, 13: 0x06 }), /ethertype/],
    ['IPv4', bent({ 14: 0x45 }), /version/],
    ['UDP', bent({ 20: 17 }), /next header/],
    ['forwarded by a router', bent({ 21: 254 }), /hop limit/],
    ['a flipped bit', bent({ 70: 0xff }, true), /checksum/],
    ['a router advertisement', bent({ 54: 134 }), /type/],
    ['a code', bent({ 55: 1 }), /code/],
    ['a multicast target', bent({ 62: 0xff }), /target/],
    ['an option without length', bent({ 79: 0 }), /option length/],
    ['an option past the end', bent({ 79: 2 }), /option/],
    ['solicited to everybody', bent({ 58: 0x60 }), /flags/],
  ];
  for (const [name, frame, message] of rows) {
    assert.throws(
      () => decodeNdpFrame(frame, 1),
      (error) => error instanceof DecodeError && message.test(error.message),
      name,
    );
  }
  assert.equal(decodeNdpFrame(bent({}), 1).source, linkLocal);
});

test('an unknown option is skipped', () => {
  const { message } = decodeNdpFrame(bent({ 78: 14 }), 1);
  assert.equal(message.kind === 'advertisement' && message.targetMac, undefined);
});

test('only IPv6 can be advertised', () => {
  assert.throws(() => encodeUnsolicitedAdvertisement(ethernet, linkLocal, ip('192.0.2.1')), RangeError);
});
