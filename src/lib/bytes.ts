import { DecodeError } from './errors.ts';

/** Reads network-order fields and refuses to pass the end of what it was given. */
export class ByteReader {
  readonly protocol: string;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(protocol: string, bytes: Uint8Array) {
    this.protocol = protocol;
    this.bytes = bytes;
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

  u16(field: string): number {
    return this.view.getUint16(this.take(field, 2));
  }

  u32(field: string): number {
    return this.view.getUint32(this.take(field, 4));
  }

  /** A copy of the next `length` bytes. */
  bytesOf(field: string, length: number): Uint8Array {
    const start = this.take(field, length);
    // A Buffer's own slice shares its memory.
    return Uint8Array.prototype.slice.call(this.bytes, start, start + length);
  }

  skip(field: string, length: number): void {
    this.take(field, length);
  }

  private take(field: string, length: number): number {
    if (length < 0 || length > this.remaining)
      this.fail(field, `needs ${length} bytes, ${this.remaining} left`);
    const start = this.at;
    this.at += length;
    return start;
  }
}

/** Writes network-order fields into a buffer that grows as needed. */
export class ByteWriter {
  private buffer = new Uint8Array(64);
  private view = new DataView(this.buffer.buffer);
  private length = 0;

  // `room` may replace the buffer and its view: it is called before either is looked up.

  u8(value: number): this {
    const at = this.room(1);
    this.view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.room(2);
    this.view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.room(4);
    this.view.setUint32(at, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.room(value.length);
    this.buffer.set(value, at);
    return this;
  }

  zeros(count: number): this {
    const at = this.room(count);
    this.buffer.fill(0, at, this.length);
    return this;
  }

  /** A copy of what was written. */
  done(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }

  private room(count: number): number {
    const start = this.length;
    this.length += count;
    if (this.length > this.buffer.length) {
      const bigger = new Uint8Array(Math.max(this.buffer.length * 2, this.length));
      bigger.set(this.buffer);
      this.buffer = bigger;
      this.view = new DataView(bigger.buffer);
    }
    return start;
  }
}
