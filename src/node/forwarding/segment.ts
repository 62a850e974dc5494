import { familyOf, ipToBytes } from '../../lib/ip.ts';
import { ByteWriter } from '../../lib/bytes.ts';
import type { ConnectionEnd } from '../../linux/index.ts';

const IPPROTO_TCP = 6;
const SYN = 0x02;
const TTL = 64;

/**
 * A whole IP packet with a TCP SYN between two ends of an established connection. Its receiver answers
 * with a challenge ACK whatever the sequence number is (RFC 5961 4.2), and so shows its own: a reset
 * made from that ACK is one it believes.
 */
export function challenge(from: ConnectionEnd, to: ConnectionEnd): Uint8Array {
  const source = ipToBytes(from.address);
  const destination = ipToBytes(to.address);
  const segment = tcpSyn(from.port, to.port);
  const sum = checksum([source, destination, Uint8Array.of(0, IPPROTO_TCP, 0, segment.length), segment]);
  segment[16] = sum >> 8;
  segment[17] = sum & 0xff;
  const packet = familyOf(from.address) === 4 ? ipv4Header(segment.length) : ipv6Header(segment.length);
  return packet.bytes(source).bytes(destination).bytes(segment).done();
}

/** RFC 9293 3.1, without options; the checksum is left 0. */
function tcpSyn(sourcePort: number, destinationPort: number): Uint8Array {
  return new ByteWriter()
    .u16(sourcePort)
    .u16(destinationPort)
    .u32(0) // sequence number
    .u32(0) // acknowledgement
    .u8(5 << 4) // header length in words
    .u8(SYN)
    .u16(1024) // window
    .zeros(4)
    .done();
}

/** RFC 791 3.1 up to the addresses. The kernel fills in identification and checksum. */
function ipv4Header(length: number): ByteWriter {
  return new ByteWriter()
    .u8(0x45)
    .u8(0)
    .u16(20 + length)
    .u16(0)
    .u16(0x4000) // do not fragment
    .u8(TTL)
    .u8(IPPROTO_TCP)
    .u16(0);
}

/** RFC 8200 3 up to the addresses. */
function ipv6Header(length: number): ByteWriter {
  return new ByteWriter().u32(0x60000000).u16(length).u8(IPPROTO_TCP).u8(TTL);
}

/** RFC 1071 over parts that each have an even length. */
function checksum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts)
    for (let i = 0; i < part.length; i += 2) sum += ((part[i] ?? 0) << 8) | (part[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
