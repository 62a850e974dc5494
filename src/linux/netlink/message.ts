import { AttributeTable, raw, text, u16, u32 } from './attributes.ts';
import type { NlWriter } from './wire.ts';
import { align4, hostIsLittleEndian, NlReader } from './wire.ts';

/** Message types below 16 belong to netlink itself (RFC 3549 2.3.2, linux/netlink.h). */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
/** On a request that creates. */
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
/** On an answer. */
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

const headerLength = 16;

/** One netlink message; `payload` is a view into the receive buffer, so copy what is kept. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  readonly payload: Uint8Array;
}

/** Framing: cuts a datagram into messages. Throws DecodeError when a length does not fit. */
export function splitMessages(datagram: Uint8Array, littleEndian = hostIsLittleEndian): NetlinkMessage[] {
  const reader = new NlReader('netlink', datagram, littleEndian);
  const messages: NetlinkMessage[] = [];
  while (reader.remaining > 0) {
    const length = reader.u32('length');
    if (length < headerLength) reader.fail('length', `${length} is less than the header`);
    const type = reader.u16('type');
    const flags = reader.u16('flags');
    const sequence = reader.u32('sequence');
    const portId = reader.u32('port id');
    const payload = reader.view('payload', length - headerLength);
    reader.skipPadded(align4(length) - length);
    messages.push({ type, flags, sequence, portId, payload });
  }
  return messages;
}

/** Appends one message; the port id is left 0, which the kernel fills in. */
export function writeMessage(writer: NlWriter, message: Omit<NetlinkMessage, 'portId'>): void {
  writer
    .u32(headerLength + message.payload.length)
    .u16(message.type)
    .u16(message.flags)
    .u32(message.sequence)
    .u32(0)
    .bytes(message.payload)
    .pad4();
}

/** NLMSGERR_ATTR_*: what the kernel says about a refusal (Documentation/userspace-api/netlink/intro.rst). */
const extendedAck = new AttributeTable('netlink extended ack', {
  message: [1, text],
  offset: [2, u32],
  cookie: [3, raw],
  policy: [4, raw],
  missingType: [5, u16],
  missingNest: [6, u32],
});

export interface Ack {
  /** Positive; 0 is success. */
  readonly errno: number;
  /** The kernel's words, when it had any. */
  readonly kernelText: string | undefined;
  /** Where in the request the offending attribute starts, counted from the message header. */
  readonly offset: number | undefined;
}

/** Decodes an NLMSG_ERROR (also the positive one) or an NLMSG_DONE. */
export function decodeAck(message: NetlinkMessage, littleEndian = hostIsLittleEndian): Ack {
  const reader = new NlReader('netlink ack', message.payload, littleEndian);
  // Old kernels end a dump with an empty NLMSG_DONE.
  if (message.type === NLMSG_DONE && reader.remaining === 0)
    return { errno: 0, kernelText: undefined, offset: undefined };
  const errno = 0 - reader.s32('error');
  if (errno < 0) reader.fail('error', `${-errno} is positive`);
  if (message.type === NLMSG_ERROR) skipEcho(reader, (message.flags & NLM_F_CAPPED) !== 0);
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno, kernelText: undefined, offset: undefined };
  const attributes = extendedAck.decode(reader);
  const missing =
    attributes.missingType === undefined ? undefined : `attribute ${attributes.missingType} is missing`;
  return { errno, kernelText: attributes.message ?? missing, offset: attributes.offset };
}

/** The header of the refused request, and its body unless the kernel capped it. */
function skipEcho(reader: NlReader, isCapped: boolean): void {
  const length = reader.u32('request length');
  reader.skip('request header', headerLength - 4);
  if (isCapped) return;
  if (length < headerLength) reader.fail('request length', `${length} is less than the header`);
  reader.skip('request payload', Math.min(reader.remaining, align4(length - headerLength)));
}
