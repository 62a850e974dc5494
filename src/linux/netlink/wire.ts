import { ByteReader, ByteWriter } from '../../lib/bytes.ts';

/**
 * Netlink numbers are in the byte order of the machine. This is the one place that knows which:
 * readers and writers take it as their default, and tests run both.
 */
export const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Messages and attributes start at multiples of four bytes (NLMSG_ALIGNTO, NLA_ALIGNTO). */
export function align4(length: number): number {
  return (length + 3) & ~3;
}

/** Reads netlink fields, in the byte order of the machine. */
export class NlReader extends ByteReader {
  constructor(protocol: string, bytes: Uint8Array, littleEndian = hostIsLittleEndian) {
    super(protocol, bytes, littleEndian);
  }
}

/** Writes netlink fields, in the byte order of the machine. */
export class NlWriter extends ByteWriter {
  constructor(littleEndian = hostIsLittleEndian) {
    super(littleEndian);
  }

  pad4(): this {
    return this.zeros(align4(this.length) - this.length);
  }
}
