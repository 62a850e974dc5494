import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { hostLength, ipFromBytes, ipToBytes, type Family, type Prefix } from '../../lib/ip.ts';

/** RFC 4271 4.3: length in bits, then as many octets as hold that many bits. Throws DecodeError. */
export function readPrefixes(bytes: Uint8Array, family: Family): readonly Prefix[] {
  const reader = new ByteReader('bgp', bytes);
  const octets = family === 4 ? 4 : 16;
  const prefixes: Prefix[] = [];
  while (reader.remaining > 0) {
    const length = reader.u8('prefix length');
    if (length > octets * 8) reader.fail('prefix length', `${length} is more than ${octets * 8}`);
    const address = new Uint8Array(octets);
    address.set(reader.bytesOf('prefix', Math.ceil(length / 8)));
    clearHostBits(address, length);
    prefixes.push({ address: ipFromBytes(address), length });
  }
  return prefixes;
}

/** RFC 4271 4.3: a length in bits, then only the octets it needs. Throws RangeError for a length that the family has not. */
export function writePrefixes(prefixes: readonly Prefix[]): Uint8Array {
  const writer = new ByteWriter();
  for (const { address, length } of prefixes) {
    if (length < 0 || length > hostLength(address))
      throw new RangeError(`prefix length ${length} of ${address}`);
    writer.u8(length).bytes(ipToBytes(address).subarray(0, Math.ceil(length / 8)));
  }
  return writer.done();
}

/** Octets of one prefix on the wire. */
export function prefixSize({ length }: Prefix): number {
  return 1 + Math.ceil(length / 8);
}

/** "The value of trailing bits is irrelevant" (RFC 4271 4.3): two spellings of a prefix are one value here. */
function clearHostBits(address: Uint8Array, length: number): void {
  address.fill(0, Math.ceil(length / 8));
  const last = Math.floor(length / 8);
  const octet = address[last];
  if (octet !== undefined) address[last] = octet & (0xff << (8 - (length % 8)));
}
