import { ByteWriter } from '../../lib/bytes.ts';
import { ipToBytes, type Ip } from '../../lib/ip.ts';

export const NEXT_HEADER_ICMPV6 = 58;

/**
 * The checksum of an ICMPv6 message over its pseudo-header (RFC 4443 2.3, RFC 8200 8.1). With the
 * field set to zero it gives the value to send; over a received message it gives zero.
 */
export function icmpv6Checksum(source: Ip, destination: Ip, message: Uint8Array): number {
  const bytes = new ByteWriter()
    .bytes(ipToBytes(source))
    .bytes(ipToBytes(destination))
    .u32(message.length)
    .u32(NEXT_HEADER_ICMPV6)
    .bytes(message)
    .done();
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
