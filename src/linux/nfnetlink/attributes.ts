import { writeAttribute } from '../netlink/attributes.ts';
import type { NlWriter } from '../netlink/wire.ts';

const nestedFlag = 0x8000;
const encoder = new TextEncoder();

/*
 * The few shapes of attributes that netfilter uses. Its numbers are in network order, unlike those of
 * rtnetlink and generic netlink.
 */

export function putU8(writer: NlWriter, type: number, value: number): void {
  writeAttribute(writer, type, (inner) => void inner.u8(value));
}

export function putBe32(writer: NlWriter, type: number, value: number): void {
  writeAttribute(writer, type, (inner) => void inner.u32(value >>> 0, false));
}

export function putBe64(writer: NlWriter, type: number, value: bigint): void {
  writeAttribute(writer, type, (inner) => void inner.u64(value, false));
}

/** Text with its terminating NUL. */
export function putText(writer: NlWriter, type: number, value: string): void {
  writeAttribute(writer, type, (inner) => void inner.bytes(encoder.encode(value)).u8(0));
}

export function putBytes(writer: NlWriter, type: number, value: Uint8Array): void {
  writeAttribute(writer, type, (inner) => void inner.bytes(value));
}

export function putNested(writer: NlWriter, type: number, fill: (inner: NlWriter) => void): void {
  writeAttribute(writer, type | nestedFlag, fill);
}
