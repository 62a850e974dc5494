import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { ip, ipFromBytes, ipToBytes, macFromBytes, type Ip, type Mac } from '../../lib/ip.ts';
import {
  allNodesHardwareAddress,
  ETHERTYPE_IPV6,
  hardwareAddress,
  hardwareAddressLength,
  INFINIBAND,
  readLinkHeader,
  writeLinkHeader,
} from '../frame/codec.ts';
import type { HardwareType, LinkAddressing } from '../frame/index.ts';
import { icmpv6Checksum, NEXT_HEADER_ICMPV6 } from './checksum.ts';
import type { NdpFrame, NeighbourAdvertisement, NeighbourMessage } from './types.ts';

export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;

const allNodes = ip('ff02::1');
const unspecified = ip('::');
/** RFC 4861 7.1: anything lower has passed a router, so it cannot come from a neighbour. */
const hopLimit = 255;
const OPTION_SOURCE_MAC = 1;
const OPTION_TARGET_MAC = 2;
const ROUTER = 0x80;
const SOLICITED = 0x40;
const OVERRIDE = 0x20;

/**
 * An unsolicited neighbour advertisement for a VIP (RFC 4861 7.2.6) as a whole frame: to all nodes,
 * override set, solicited and router clear, with our link-layer address. `source` is a link-local
 * address of the link.
 */
export function encodeUnsolicitedAdvertisement(link: LinkAddressing, source: Ip, vip: Ip): Uint8Array {
  const message = encodeAdvertisement(link, {
    kind: 'advertisement',
    router: false,
    solicited: false,
    override: true,
    target: vip,
    targetMac: link.mac,
  });
  return encodeFrame(link, source, message);
}

function encodeFrame(link: LinkAddressing, source: Ip, message: Uint8Array): Uint8Array {
  new DataView(message.buffer).setUint16(2, icmpv6Checksum(source, allNodes, message));
  const writer = new ByteWriter();
  writeLinkHeader(writer, link, allNodesHardwareAddress(link), ETHERTYPE_IPV6);
  return writer
    .u32(6 << 28)
    .u16(message.length)
    .u8(NEXT_HEADER_ICMPV6)
    .u8(hopLimit)
    .bytes(ipv6Bytes(source))
    .bytes(ipv6Bytes(allNodes))
    .bytes(message)
    .done();
}

function encodeAdvertisement(link: LinkAddressing, message: NeighbourAdvertisement): Uint8Array {
  const flags =
    (message.router ? ROUTER : 0) | (message.solicited ? SOLICITED : 0) | (message.override ? OVERRIDE : 0);
  const writer = new ByteWriter()
    .u8(NEIGHBOUR_ADVERTISEMENT)
    .u8(0)
    .u16(0)
    .u8(flags)
    .zeros(3)
    .bytes(ipv6Bytes(message.target));
  if (message.targetMac !== undefined) {
    const mac = hardwareAddress(link.hardwareType, message.targetMac);
    const padding = optionPadding(link.hardwareType);
    writer
      .u8(OPTION_TARGET_MAC)
      .u8((2 + padding + mac.length) / 8)
      .zeros(padding)
      .bytes(mac);
  }
  return writer.done();
}

/** RFC 4391 9.3: two reserved bytes stand before a 20-byte address, to make the option a multiple of 8. */
function optionPadding(hardwareType: HardwareType): number {
  return hardwareType === INFINIBAND ? 2 : 0;
}

/**
 * Decodes a neighbour solicitation or advertisement, checked as RFC 4861 7.1 demands. Anything else,
 * extension headers included, is a DecodeError.
 */
export function decodeNdpFrame(frame: Uint8Array, hardwareType: HardwareType): NdpFrame {
  const reader = new ByteReader('ndp', frame);
  const header = readLinkHeader(reader, hardwareType);
  if (header.etherType !== ETHERTYPE_IPV6)
    reader.fail('ethertype', `0x${header.etherType.toString(16)} is not IPv6`);
  const version = reader.u32('version') >>> 28;
  if (version !== 6) reader.fail('version', `${version}, not 6`);
  const length = reader.u16('payload length');
  const nextHeader = reader.u8('next header');
  if (nextHeader !== NEXT_HEADER_ICMPV6) reader.fail('next header', `${nextHeader} is not ICMPv6`);
  const hops = reader.u8('hop limit');
  if (hops !== hopLimit) reader.fail('hop limit', `${hops}: it has passed a router`);
  const source = ipFromBytes(reader.bytesOf('source', 16));
  const destination = ipFromBytes(reader.bytesOf('destination', 16));
  const bytes = reader.bytesOf('payload', length);
  if (icmpv6Checksum(source, destination, bytes) !== 0) reader.fail('checksum', 'is wrong');
  const message = decodeMessage(new ByteReader('ndp', bytes), hardwareType);
  checkAddresses(reader, source, destination, message);
  return { header, source, destination, message };
}

function decodeMessage(reader: ByteReader, hardwareType: HardwareType): NeighbourMessage {
  const type = reader.u8('type');
  if (type !== NEIGHBOUR_ADVERTISEMENT && type !== NEIGHBOUR_SOLICITATION) {
    reader.fail('type', `${type} is neither a solicitation nor an advertisement`);
  }
  const code = reader.u8('code');
  if (code !== 0) reader.fail('code', `${code}, not 0`);
  reader.skip('checksum', 2);
  const flags = reader.u8('flags');
  reader.skip('reserved', 3);
  const target = ipFromBytes(reader.bytesOf('target', 16));
  if (isMulticast(target)) reader.fail('target', `${target} is a multicast address`);
  const options = decodeOptions(reader, hardwareType);
  if (type === NEIGHBOUR_SOLICITATION) {
    return { kind: 'solicitation', target, sourceMac: options.get(OPTION_SOURCE_MAC) };
  }
  return {
    kind: 'advertisement',
    router: (flags & ROUTER) !== 0,
    solicited: (flags & SOLICITED) !== 0,
    override: (flags & OVERRIDE) !== 0,
    target,
    targetMac: options.get(OPTION_TARGET_MAC),
  };
}

/** The link-layer addresses by option type; the first of its kind counts, unknown options are skipped. */
function decodeOptions(reader: ByteReader, hardwareType: HardwareType): ReadonlyMap<number, Mac> {
  const found = new Map<number, Mac>();
  const padding = optionPadding(hardwareType);
  while (reader.remaining > 0) {
    const type = reader.u8('option type');
    const units = reader.u8('option length');
    if (units === 0) reader.fail('option length', 'is zero');
    const body = reader.bytesOf('option', units * 8 - 2);
    const isMac = type === OPTION_SOURCE_MAC || type === OPTION_TARGET_MAC;
    if (!isMac || found.has(type)) continue;
    const mac = body.subarray(padding, padding + hardwareAddressLength(hardwareType));
    if (mac.length < hardwareAddressLength(hardwareType))
      reader.fail('option', 'is too short for an address');
    found.set(type, macFromBytes(mac));
  }
  return found;
}

function checkAddresses(reader: ByteReader, source: Ip, destination: Ip, message: NeighbourMessage): void {
  if (message.kind === 'advertisement') {
    if (message.solicited && isMulticast(destination)) reader.fail('flags', 'solicited, but sent to a group');
    return;
  }
  if (source !== unspecified) return;
  // RFC 4861 7.1.1: duplicate address detection asks the group of the target and names no sender.
  if (!/^ff02::1:ff[0-9a-f]{2}:/.test(destination))
    reader.fail('destination', 'is not a solicited-node group');
  if (message.sourceMac !== undefined) reader.fail('option', 'the unspecified address names a sender');
}

/** Somebody asks whether this address is still free (RFC 4862 5.4). */
export function isDuplicateAddressProbe(frame: NdpFrame): boolean {
  return frame.message.kind === 'solicitation' && frame.source === unspecified;
}

function isMulticast(address: Ip): boolean {
  return /^ff[0-9a-f]{2}:/.test(address);
}

function ipv6Bytes(address: Ip): Uint8Array {
  const bytes = ipToBytes(address);
  if (bytes.length !== 16) throw new RangeError(`neighbour discovery speaks of IPv6 only, not of ${address}`);
  return bytes;
}
