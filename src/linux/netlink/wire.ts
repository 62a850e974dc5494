import { DecodeError } from '../../lib/errors.ts';

/**
 * Netlink numbers are in the byte order of the machine. This is the one place that knows which:
 * readers and writers take it as their default, and tests run both.
 */
export const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Messages and attributes start at multiples of four bytes (NLMSG_ALIGNTO, NLA_ALIGNTO). */
export function align4(length: number): number {
  return (length + 3) & ~3;
}

/** Reads netlink fields and refuses to pass the end of what it was given. */
export class NlReader {
  readonly protocol: string;
  readonly littleEndian: boolean;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(protocol: string, bytes: Uint8Array, littleEndian = hostIsLittleEndian) {
    this.protocol = protocol;
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.at;
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  fail(field: string, detail: string): never {
    throw new DecodeError(this.protocol, field, this.at, detail);
  }

  u8(field: string): number {
    return this.view.getUint8(this.take(field, 1));
  }

  u16(field: string, littleEndian = this.littleEndian): number {
    return this.view.getUint16(this.take(field, 2), littleEndian);
  }

  u32(field: string, littleEndian = this.littleEndian): number {
    return this.view.getUint32(this.take(field, 4), littleEndian);
  }

  s32(field: string): number {
    return this.view.getInt32(this.take(field, 4), this.littleEndian);
  }

  u64(field: string, littleEndian = this.littleEndian): bigint {
    return this.view.getBigUint64(this.take(field, 8), littleEndian);
  }

  /** A view of the next `length` bytes: copy it to keep it. */
  bytesOf(field: string, length: number): Uint8Array {
    const start = this.take(field, length);
    return this.bytes.subarray(start, start + length);
  }

  rest(field: string): Uint8Array {
    return this.bytesOf(field, this.remaining);
  }

  /** Moves on by `length`, or to the end where padding was left out after the last element. */
  skipPadded(length: number): void {
    this.at = Math.min(this.bytes.length, this.at + length);
  }

  private take(field: string, length: number): number {
    if (length < 0 || length > this.remaining) {
      this.fail(field, `needs ${length} bytes, ${this.remaining} left`);
    }
    const start = this.at;
    this.at += length;
    return start;
  }
}

/** Writes netlink fields into a buffer that grows as needed. */
export class NlWriter {
  readonly littleEndian: boolean;
  private buffer = new Uint8Array(128);
  private view = new DataView(this.buffer.buffer);
  private at = 0;

  constructor(littleEndian = hostIsLittleEndian) {
    this.littleEndian = littleEndian;
  }

  get length(): number {
    return this.at;
  }

  // `room` may replace the buffer and its view: it is called before either is looked up.

  u8(value: number): this {
    const at = this.room(1);
    this.view.setUint8(at, value);
    return this;
  }

  u16(value: number, littleEndian = this.littleEndian): this {
    const at = this.room(2);
    this.view.setUint16(at, value, littleEndian);
    return this;
  }

  u32(value: number, littleEndian = this.littleEndian): this {
    const at = this.room(4);
    this.view.setUint32(at, value, littleEndian);
    return this;
  }

  s32(value: number): this {
    const at = this.room(4);
    this.view.setInt32(at, value, this.littleEndian);
    return this;
  }

  u64(value: bigint, littleEndian = this.littleEndian): this {
    const at = this.room(8);
    this.view.setBigUint64(at, value, littleEndian);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.room(value.length);
    this.buffer.set(value, at);
    return this;
  }

  zeros(count: number): this {
    const at = this.room(count);
    this.buffer.fill(0, at, at + count);
    return this;
  }

  pad4(): this {
    return this.zeros(align4(this.at) - this.at);
  }

  /** Fills in a 16-bit length that was left open at `offset`. */
  patchU16(offset: number, value: number): void {
    this.view.setUint16(offset, value, this.littleEndian);
  }

  patchU32(offset: number, value: number): void {
    this.view.setUint32(offset, value, this.littleEndian);
  }

  /** A copy of what was written. */
  done(): Uint8Array {
    return this.buffer.slice(0, this.at);
  }

  private room(count: number): number {
    const start = this.at;
    this.at += count;
    if (this.at > this.buffer.length) {
      const bigger = new Uint8Array(Math.max(this.buffer.length * 2, this.at));
      bigger.set(this.buffer);
      this.buffer = bigger;
      this.view = new DataView(bigger.buffer);
    }
    return start;
  }
}
