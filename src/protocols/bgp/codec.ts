import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { DecodeError } from '../../lib/errors.ts';
import { ipFromBytes, ipToBytes } from '../../lib/ip.ts';
import { decodeCapabilities, encodeCapabilities } from './capabilities.ts';
import { BgpDecodeError, errorCode } from './errors.ts';
import type { BgpMessage, Capability, Notification, OpenMessage } from './types.ts';

/*
 *  0                   1                   2                   3
 *  |                 marker: 16 octets of ones                    |
 *  |            length             |     type      |               RFC 4271 4.1
 */

/** Octets of the header, and the most that a message may have (without RFC 8654). */
export const HEADER_LENGTH = 19;
export const MAX_MESSAGE_LENGTH = 4096;

const type = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const;
const OPTIONAL_CAPABILITIES = 2;
/** RFC 9072: as length and as type of the first parameter it says that lengths have two octets. */
const EXTENDED_PARAMETERS = 255;
const nothing = new Uint8Array();

/** Least length of a message of each type (RFC 4271 6.1). */
const leastLength: Readonly<Record<number, number>> = {
  [type.open]: 29,
  [type.update]: 23,
  [type.notification]: 21,
  [type.keepalive]: 19,
  [type.routeRefresh]: 23,
};

/** Takes the stream of a connection apart into whole messages. It never keeps more than one of them. */
export class MessageFramer {
  private pending: Uint8Array = nothing;

  /** Whole messages, header included. Throws BgpDecodeError at the first header that cannot be right. */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    const bytes = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    const messages: Uint8Array[] = [];
    let at = 0;
    while (bytes.length - at >= HEADER_LENGTH) {
      const length = checkHeader(bytes.subarray(at, at + HEADER_LENGTH));
      if (bytes.length - at < length) break;
      messages.push(copy(bytes.subarray(at, at + length)));
      at += length;
    }
    this.pending = copy(bytes.subarray(at));
    return messages;
  }
}

/** Plain bytes of their own: a Buffer's slice shares its memory. */
function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** RFC 4271 6.1. Returns the length of the message. */
function checkHeader(header: Uint8Array): number {
  const refuse = (field: string, subcode: number, data: Uint8Array, detail: string): never => {
    throw new BgpDecodeError(field, 0, detail, { code: errorCode.header, subcode, data });
  };
  if (!header.subarray(0, 16).every((octet) => octet === 0xff)) refuse('marker', 1, nothing, 'not all ones');
  const [high = 0, low = 0, kind = 0] = header.subarray(16);
  const length = high * 256 + low;
  const least = leastLength[kind];
  if (least === undefined) return refuse('type', 3, Uint8Array.of(kind), `${kind} is unknown`);
  const isWrong =
    length < least || length > MAX_MESSAGE_LENGTH || (kind === type.keepalive && length !== least);
  if (isWrong) refuse('length', 2, Uint8Array.of(high, low), `${length} octets for type ${kind}`);
  return length;
}

/** One whole message, header included. Throws BgpDecodeError, which carries the NOTIFICATION it deserves. */
export function decodeMessage(message: Uint8Array): BgpMessage {
  const header = message.subarray(0, HEADER_LENGTH);
  if (header.length < HEADER_LENGTH || checkHeader(header) !== message.length)
    throw new BgpDecodeError('length', 16, 'not that of the message', headerError(2));
  const kind = message[18];
  const reader = new ByteReader('bgp', message.subarray(HEADER_LENGTH));
  switch (kind) {
    case type.open:
      return inOpen(() => decodeOpen(reader));
    case type.update:
      return { type: 'update', body: reader.bytesOf('update', reader.remaining) };
    case type.notification: {
      const [code, subcode] = [reader.u8('error code'), reader.u8('error subcode')];
      return { type: 'notification', code, subcode, data: reader.bytesOf('data', reader.remaining) };
    }
    case type.routeRefresh: {
      const afi = reader.u16('AFI');
      reader.skip('reserved', 1);
      return { type: 'route-refresh', afi, safi: reader.u8('SAFI') };
    }
    default:
      return { type: 'keepalive' };
  }
}

function headerError(subcode: number): Notification {
  return { code: errorCode.header, subcode, data: nothing };
}

/** What runs past the end of an OPEN is answered as an OPEN error without subcode (RFC 4271 6.2). */
function inOpen(decode: () => OpenMessage): OpenMessage {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof DecodeError) || error instanceof BgpDecodeError) throw error;
    throw new BgpDecodeError(error.field, error.offset, error.message, openError(0));
  }
}

function openError(subcode: number): Notification {
  return { code: errorCode.open, subcode, data: nothing };
}

function decodeOpen(reader: ByteReader): OpenMessage {
  const version = reader.u8('version');
  const as = reader.u16('AS');
  const holdTime = reader.u16('hold time');
  const routerId = ipFromBytes(reader.bytesOf('BGP identifier', 4));
  const capabilities: Capability[] = [];
  const parameters = openParameters(reader);
  while (parameters.reader.remaining > 0) {
    const kind = parameters.reader.u8('parameter type');
    const length = parameters.length('parameter length');
    const value = parameters.reader.bytesOf('parameter value', length);
    if (kind !== OPTIONAL_CAPABILITIES)
      throw new BgpDecodeError('parameter type', reader.offset, `${kind} is unknown`, openError(4));
    capabilities.push(...decodeCapabilities(value));
  }
  return { type: 'open', version, as, holdTime, routerId, capabilities };
}

function openParameters(reader: ByteReader): { reader: ByteReader; length: (field: string) => number } {
  const length = reader.u8('optional parameters length');
  const rest = reader.bytesOf('optional parameters', reader.remaining);
  const inner = new ByteReader('bgp', rest);
  if (length !== 0 && rest[0] === EXTENDED_PARAMETERS) {
    inner.skip('extended parameters', 1);
    if (inner.u16('extended length') !== inner.remaining) inner.fail('extended length', 'not what is left');
    return { reader: inner, length: (field) => inner.u16(field) };
  }
  if (length !== rest.length)
    inner.fail('optional parameters length', `${length}, but ${rest.length} are left`);
  return { reader: inner, length: (field) => inner.u8(field) };
}

/** One whole message, header included. What does not fit into a message is a RangeError. */
export function encodeMessage(message: BgpMessage): Uint8Array {
  switch (message.type) {
    case 'open':
      return frame(type.open, encodeOpen(message));
    case 'update':
      return frame(type.update, message.body);
    case 'keepalive':
      return frame(type.keepalive, nothing);
    case 'notification':
      return frame(
        type.notification,
        new ByteWriter().u8(message.code).u8(message.subcode).bytes(message.data).done(),
      );
    case 'route-refresh':
      return frame(type.routeRefresh, new ByteWriter().u16(message.afi).u8(0).u8(message.safi).done());
  }
}

function encodeOpen(open: OpenMessage): Uint8Array {
  const capabilities = encodeCapabilities(open.capabilities);
  // One parameter for each would say the same; one for all is what RFC 5492 4 asks for.
  const parameters = new ByteWriter();
  if (capabilities.length > 0) {
    if (capabilities.length > 253) throw new RangeError('too many capabilities for one OPEN');
    parameters.u8(OPTIONAL_CAPABILITIES).u8(capabilities.length).bytes(capabilities);
  }
  const bytes = parameters.done();
  return new ByteWriter()
    .u8(open.version)
    .u16(open.as)
    .u16(open.holdTime)
    .bytes(ipToBytes(open.routerId))
    .u8(bytes.length)
    .bytes(bytes)
    .done();
}

function frame(kind: number, body: Uint8Array): Uint8Array {
  const length = HEADER_LENGTH + body.length;
  if (length > MAX_MESSAGE_LENGTH) throw new RangeError(`a message of ${length} octets`);
  const writer = new ByteWriter();
  for (let i = 0; i < 4; i++) writer.u32(0xffff_ffff);
  return writer.u16(length).u8(kind).bytes(body).done();
}
