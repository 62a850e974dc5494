import { NlWriter } from './netlink/wire.ts';
import type { PacketFilter } from './types.ts';

/** An array of struct sock_filter (linux/filter.h), in host byte order. */
export function encodeFilter(filter: PacketFilter): Uint8Array {
  const writer = new NlWriter();
  for (const [code, jt, jf, k] of filter) writer.u16(code).u8(jt).u8(jf).u32(k);
  return writer.done();
}
