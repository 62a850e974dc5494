import { DecodeError } from './errors.ts';

/** Reads fields, in network order unless told otherwise, and refuses to pass the end of what it was given. */
export class ByteReader {
  readonly protocol: string;
  readonly littleEndian: boolean;
  private readonly bytes: Uint8Array;
  private readonly data: DataView;
  private at = 0;

  constructor(protocol: string, bytes: Uint8Array, littleEndian = false) {
    this.protocol = protocol;
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
    return this.data.getUint8(this.take(field, 1));
  }

  u16(field: string, littleEndian = this.littleEndian): number {
    return this.data.getUint16(this.take(field, 2), littleEndian);
  }

  u32(field: string, littleEndian = this.littleEndian): number {
    return this.data.getUint32(this.take(field, 4), littleEndian);
  }

  s32(field: string): number {
    return this.data.getInt32(this.take(field, 4), this.littleEndian);
  }

  u64(field: string, littleEndian = this.littleEndian): bigint {
    return this.data.getBigUint64(this.take(field, 8), littleEndian);
  }

  /** A copy of the next `length` bytes. */
  bytesOf(field: string, length: number): Uint8Array {
    const start = this.take(field, length);
    // A Buffer's own slice shares its memory.
    return Uint8Array.prototype.slice.call(this.bytes, start, start + length);
  }

  /** The next `length` bytes where they are: copy them to keep them. */
  view(field: string, length: number): Uint8Array {
    const start = this.take(field, length);
    return this.bytes.subarray(start, start + length);
  }

  /** A view of all that is left. */
  rest(field: string): Uint8Array {
    return this.view(field, this.remaining);
  }

  skip(field: string, length: number): void {
    this.take(field, length);
  }

  /** Moves on by `length`, or to the end where padding was left out after the last element. */
  skipPadded(length: number): void {
    this.at = Math.min(this.bytes.length, this.at + length);
  }

  private take(field: string, length: number): number {
    if (length < 0 || length > this.remaining)
      this.fail(field, `needs ${length} bytes, ${this.remaining} left`);
    const start = this.at;
    this.at += length;
    return start;
  }
}

/** Writes fields, in network order unless told otherwise, into a buffer that grows as needed. */
export class ByteWriter {
  readonly littleEndian: boolean;
  private buffer = new Uint8Array(128);
  private data = new DataView(this.buffer.buffer);
  private at = 0;

  constructor(littleEndian = false) {
    this.littleEndian = littleEndian;
  }

  get length(): number {
    return this.at;
  }

  // `room` may replace the buffer and its view: it is called before either is looked up.

  u8(value: number): this {
    const at = this.room(1);
    this.data.setUint8(at, value);
    return this;
  }

  u16(value: number, littleEndian = this.littleEndian): this {
    const at = this.room(2);
    this.data.setUint16(at, value, littleEndian);
    return this;
  }

  u32(value: number, littleEndian = this.littleEndian): this {
    const at = this.room(4);
    this.data.setUint32(at, value, littleEndian);
    return this;
  }

  s32(value: number): this {
    const at = this.room(4);
    this.data.setInt32(at, value, this.littleEndian);
    return this;
  }

  u64(value: bigint, littleEndian = this.littleEndian): this {
    const at = this.room(8);
    this.data.setBigUint64(at, value, littleEndian);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.room(value.length);
    this.buffer.set(value, at);
    return this;
  }

  zeros(count: number): this {
    const at = this.room(count);
    this.buffer.fill(0, at, this.at);
    return this;
  }

  /** Fills in a 16-bit number, such as a length, that was left open at `offset`. */
  patchU16(offset: number, value: number): void {
    this.data.setUint16(offset, value, this.littleEndian);
  }

  patchU32(offset: number, value: number): void {
    this.data.setUint32(offset, value, this.littleEndian);
  }

  /** A copy of what was written. */
  done(): Uint8Array {
    return this.buffer.slice(0, this.at);
  }

  /** A copy of what was written, and a new beginning in the same buffer: cheaper than a writer for each message. */
  take(): Uint8Array {
    const written = this.done();
    this.at = 0;
    return written;
  }

  private room(count: number): number {
    const start = this.at;
    this.at += count;
    if (this.at > this.buffer.length) {
      const bigger = new Uint8Array(Math.max(this.buffer.length * 2, this.at));
      bigger.set(this.buffer);
      this.buffer = bigger;
      this.data = new DataView(bigger.buffer);
    }
    return start;
  }
}
