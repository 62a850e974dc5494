import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { ipFromBytes, ipToBytes, type Family, type Ip } from '../../lib/ip.ts';
import { AFI_IPV4, AFI_IPV6, SAFI_UNICAST, unicastFamily } from './families.ts';
import { readPrefixes, writePrefixes } from './prefixes.ts';
import type { AsPathSegment, PathAttribute } from './types.ts';

/** Attribute type codes (RFC 4271 5, RFC 4760). */
const code = { origin: 1, asPath: 2, nextHop: 3, localPref: 5, mpReach: 14, mpUnreach: 15 } as const;

/** Attribute flags (RFC 4271 4.3). */
const WELL_KNOWN = 0x40;
const OPTIONAL = 0x80;
const EXTENDED_LENGTH = 0x10;

const origins = ['igp', 'egp', 'incomplete'] as const;
/** AS_TRANS stands for an AS that does not fit into two octets (RFC 6793). */
export const AS_TRANS = 23_456;

/** Throws DecodeError. */
export function readAttributes(bytes: Uint8Array, asOctets: 2 | 4): readonly PathAttribute[] {
  const reader = new ByteReader('bgp', bytes);
  const attributes: PathAttribute[] = [];
  while (reader.remaining > 0) {
    const flags = reader.u8('attribute flags');
    const kind = reader.u8('attribute type');
    const isLong = (flags & EXTENDED_LENGTH) !== 0;
    const length = isLong ? reader.u16('attribute length') : reader.u8('attribute length');
    const value = reader.bytesOf('attribute value', length);
    attributes.push(
      readAttribute(kind, value, asOctets) ?? {
        kind: 'unknown',
        flags: flags & ~EXTENDED_LENGTH,
        code: kind,
        value,
      },
    );
  }
  return attributes;
}

/** Undefined for attributes, and address families, that are kept as they are. */
function readAttribute(kind: number, value: Uint8Array, asOctets: 2 | 4): PathAttribute | undefined {
  const reader = new ByteReader('bgp', value);
  switch (kind) {
    case code.origin: {
      exactly(reader, 'ORIGIN', 1);
      const origin = origins[reader.u8('ORIGIN')];
      return origin === undefined ? reader.fail('ORIGIN', 'unknown value') : { kind: 'origin', origin };
    }
    case code.asPath:
      return { kind: 'as-path', segments: readAsPath(reader, asOctets) };
    case code.nextHop:
      exactly(reader, 'NEXT_HOP', 4);
      return { kind: 'next-hop', nextHop: ipFromBytes(value) };
    case code.localPref:
      exactly(reader, 'LOCAL_PREF', 4);
      return { kind: 'local-pref', preference: reader.u32('LOCAL_PREF') };
    case code.mpReach:
      return readMpReach(reader);
    case code.mpUnreach: {
      const family = readFamily(reader);
      if (family === undefined) return undefined;
      return {
        kind: 'mp-unreach',
        family,
        withdrawn: readPrefixes(reader.bytesOf('withdrawn routes', reader.remaining), family),
      };
    }
    default:
      return undefined;
  }
}

function exactly(reader: ByteReader, field: string, length: number): void {
  if (reader.remaining !== length) reader.fail(field, `${reader.remaining} octets, not ${length}`);
}

function readAsPath(reader: ByteReader, asOctets: 2 | 4): readonly AsPathSegment[] {
  const segments: AsPathSegment[] = [];
  while (reader.remaining > 0) {
    const kind = reader.u8('AS path segment type');
    if (kind !== 1 && kind !== 2) reader.fail('AS path segment type', `${kind} is unknown`);
    const count = reader.u8('AS path segment length');
    const ases = Array.from({ length: count }, () => (asOctets === 4 ? reader.u32('AS') : reader.u16('AS')));
    segments.push({ kind: kind === 1 ? 'set' : 'sequence', ases });
  }
  return segments;
}

/** AFI and SAFI; undefined when they are not those of IPv4 or IPv6 unicast. */
function readFamily(reader: ByteReader): Family | undefined {
  const afi = reader.u16('AFI');
  return unicastFamily(afi, reader.u8('SAFI'));
}

function readMpReach(reader: ByteReader): PathAttribute | undefined {
  const family = readFamily(reader);
  if (family === undefined) return undefined;
  const length = reader.u8('next hop length');
  const size = length === 4 ? 4 : 16;
  if (length === 0 || length > 32 || length % size !== 0) reader.fail('next hop length', String(length));
  const nextHops: Ip[] = [];
  for (let n = 0; n < length / size; n++) nextHops.push(ipFromBytes(reader.bytesOf('next hop', size)));
  reader.skip('reserved', 1);
  return {
    kind: 'mp-reach',
    family,
    nextHops,
    nlri: readPrefixes(reader.bytesOf('NLRI', reader.remaining), family),
  };
}

/** Path attributes without the length of their list. Throws RangeError for one that is too long for its own length. */
export function writeAttributes(attributes: readonly PathAttribute[], asOctets: 2 | 4): Uint8Array {
  const writer = new ByteWriter();
  for (const attribute of attributes) {
    const { flags, kind, value } = encodeAttribute(attribute, asOctets);
    if (value.length > 0xffff) throw new RangeError(`attribute ${kind} of ${value.length} octets`);
    if (value.length > 255)
      writer
        .u8(flags | EXTENDED_LENGTH)
        .u8(kind)
        .u16(value.length);
    else writer.u8(flags).u8(kind).u8(value.length);
    writer.bytes(value);
  }
  return writer.done();
}

interface EncodedAttribute {
  readonly flags: number;
  readonly kind: number;
  readonly value: Uint8Array;
}

function encodeAttribute(attribute: PathAttribute, asOctets: 2 | 4): EncodedAttribute {
  const writer = new ByteWriter();
  switch (attribute.kind) {
    case 'origin':
      writer.u8(origins.indexOf(attribute.origin));
      return { flags: WELL_KNOWN, kind: code.origin, value: writer.done() };
    case 'as-path':
      for (const segment of attribute.segments) writeSegment(writer, segment, asOctets);
      return { flags: WELL_KNOWN, kind: code.asPath, value: writer.done() };
    case 'next-hop':
      return { flags: WELL_KNOWN, kind: code.nextHop, value: ipToBytes(attribute.nextHop) };
    case 'local-pref':
      return { flags: WELL_KNOWN, kind: code.localPref, value: writer.u32(attribute.preference).done() };
    case 'mp-reach': {
      const nextHops = Buffer.concat(attribute.nextHops.map(ipToBytes));
      writeFamily(writer, attribute.family).u8(nextHops.length).bytes(nextHops).u8(0);
      return {
        flags: OPTIONAL,
        kind: code.mpReach,
        value: writer.bytes(writePrefixes(attribute.nlri)).done(),
      };
    }
    case 'mp-unreach':
      writeFamily(writer, attribute.family).bytes(writePrefixes(attribute.withdrawn));
      return { flags: OPTIONAL, kind: code.mpUnreach, value: writer.done() };
    case 'unknown':
      return { flags: attribute.flags, kind: attribute.code, value: attribute.value };
  }
}

function writeSegment(writer: ByteWriter, { kind, ases }: AsPathSegment, asOctets: 2 | 4): void {
  if (ases.length > 255) throw new RangeError(`${ases.length} ASes in one segment`);
  writer.u8(kind === 'set' ? 1 : 2).u8(ases.length);
  for (const as of ases) {
    if (asOctets === 4) writer.u32(as);
    else writer.u16(as > 0xffff ? AS_TRANS : as);
  }
}

function writeFamily(writer: ByteWriter, family: Family): ByteWriter {
  return writer.u16(family === 4 ? AFI_IPV4 : AFI_IPV6).u8(SAFI_UNICAST);
}
