import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../../src/lib/errors.ts';
import { ipFromBytes, macFromBytes } from '../../../src/lib/ip.ts';
import {
  decodeArpFrame,
  decodeNdpFrame,
  encodeArpFrame,
  encodeGratuitousArp,
  encodeUnsolicitedAdvertisement,
  hardwareAddressLength,
  icmpv6Checksum,
  type HardwareType,
  type LinkAddressing,
} from '../../../src/protocols/index.ts';
import { runs } from '../../../src/testing/runs.ts';

const hardwareType = fc.constantFrom<HardwareType>(1, 32);
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const ipv4 = bytes(4).map(ipFromBytes);
/** A global unicast address: a multicast one could not be announced. */
const ipv6 = bytes(16).map((raw) => ipFromBytes(Uint8Array.from(raw, (byte, i) => (i === 0 ? 0x20 : byte))));
const macOf = (type: HardwareType): fc.Arbitrary<ReturnType<typeof macFromBytes>> =>
  bytes(hardwareAddressLength(type)).map(macFromBytes);
const link: fc.Arbitrary<LinkAddressing> = hardwareType.chain((type) =>
  fc.record({ hardwareType: fc.constant(type), mac: macOf(type), broadcast: macOf(type) }),
);

function valueOrDecodeError(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error));
  }
}

test('any ARP packet survives encoding and decoding', () => {
  fc.assert(
    fc.property(link, ipv4, ipv4, fc.nat(0xffff), (on, senderIp, targetIp, operation) => {
      const packet = {
        hardwareType: on.hardwareType,
        operation,
        senderMac: on.mac,
        senderIp,
        targetMac: on.broadcast,
        targetIp,
      };
      const frame = encodeArpFrame(on, on.broadcast, packet);
      assert.deepEqual(decodeArpFrame(frame, on.hardwareType).packet, packet);
    }),
  );
});

test('any advertisement we send is one that a strict receiver accepts', () => {
  fc.assert(
    fc.property(link, ipv6, ipv6, (on, source, vip) => {
      const frame = decodeNdpFrame(encodeUnsolicitedAdvertisement(on, source, vip), on.hardwareType);
      assert.deepEqual(frame.message, {
        kind: 'advertisement',
        router: false,
        solicited: false,
        override: true,
        target: vip,
        targetMac: on.mac,
      });
      assert.equal(frame.source, source);
      assert.equal(frame.destination, 'ff02::1');
    }),
  );
});

test('any bytes are a value or a DecodeError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), hardwareType, (raw, type) => {
      valueOrDecodeError(() => decodeArpFrame(raw, type));
      valueOrDecodeError(() => decodeNdpFrame(raw, type));
    }),
    { numRuns: runs(2000) },
  );
});

/** Good frames with a few bytes changed reach deeper than noise does; the checksum is put right again. */
test('any damage to a good frame gives a value or a DecodeError', () => {
  const damage = fc.array(fc.tuple(fc.nat(130), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(link, ipv4, ipv6, damage, fc.nat(140), (on, vip4, vip6, changes, length) => {
      const arp = encodeGratuitousArp(on, vip4, 'request');
      const ndp = encodeUnsolicitedAdvertisement(on, vip6, vip6);
      for (const [at, value] of changes) {
        if (at < arp.length) arp[at] = value;
        if (at < ndp.length) ndp[at] = value;
      }
      const icmp = on.hardwareType === 32 ? 64 : 54;
      ndp.fill(0, icmp + 2, icmp + 4);
      const [source, destination] = [ndp.slice(icmp - 32, icmp - 16), ndp.slice(icmp - 16, icmp)];
      const sum = icmpv6Checksum(ipFromBytes(source), ipFromBytes(destination), ndp.subarray(icmp));
      new DataView(ndp.buffer).setUint16(icmp + 2, sum);
      valueOrDecodeError(() => decodeArpFrame(arp.subarray(0, length), on.hardwareType));
      valueOrDecodeError(() => decodeNdpFrame(ndp, on.hardwareType));
      valueOrDecodeError(() => decodeNdpFrame(ndp.subarray(0, length), on.hardwareType));
    }),
    { numRuns: runs(2000) },
  );
});
