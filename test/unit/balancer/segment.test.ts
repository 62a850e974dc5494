import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { challenge } from '../../../src/node/forwarding/segment.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('a SYN over IPv4', () => {
  const packet = challenge(
    { address: ip('10.77.0.100'), port: 6443 },
    { address: ip('10.77.0.1'), port: 40_000 },
  );
  assert.equal(
    hex(packet),
    '45000028000040004006' +
      '0000' +
      '0a4d0064' +
      '0a4d0001' +
      '192b9c40' +
      '00000000' +
      '00000000' +
      '50020400' +
      sumOf(packet) +
      '0000',
  );
});

test('a SYN over IPv6', () => {
  const packet = challenge(
    { address: ip('fd77::100'), port: 6443 },
    { address: ip('fd77::1'), port: 40_000 },
  );
  assert.equal(hex(packet.subarray(0, 8)), '6000000000140640');
  assert.equal(packet.length, 60);
});

/** RFC 1071: with the checksum in place, everything adds up to all ones. */
for (const [from, to] of [
  ['10.77.0.100', '10.77.0.1'],
  ['255.255.255.255', '255.255.255.255'],
  ['fd77::100', 'ffff:ffff:ffff::ffff'],
] as const) {
  test(`the checksum from ${from} is right`, () => {
    const packet = challenge({ address: ip(from), port: 65_535 }, { address: ip(to), port: 1 });
    const start = from.includes(':') ? 8 : 12;
    let sum = 6 + 20;
    for (let at = start; at < packet.length; at += 2) sum += ((packet[at] ?? 0) << 8) | (packet[at + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    assert.equal(sum, 0xffff);
  });
}

function sumOf(packet: Uint8Array): string {
  return hex(packet.subarray(36, 38));
}
