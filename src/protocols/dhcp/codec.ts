import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { ipFromBytes, ipToBytes, macFromBytes, macToBytes, type Ip, type Mac } from '../../lib/ip.ts';
import { ETHERNET, readLinkHeader, writeLinkHeader } from '../frame/codec.ts';
import type { LinkAddressing } from '../frame/index.ts';
import type { DhcpMessage, DhcpMessageType, DhcpPacket } from './types.ts';

export const ETHERTYPE_IPV4 = 0x0800;
const IPPROTO_UDP = 17;
const SERVER_PORT = 67;
const CLIENT_PORT = 68;
const TTL = 64;
/** RFC 2131 3: the first four bytes of the options. */
const MAGIC = 0x63825363;
/** RFC 1542 2.1: relays and servers may drop what is shorter. */
const LEAST_MESSAGE_BYTES = 300;
const SNAME_BYTES = 64;
const FILE_BYTES = 128;

const types: readonly DhcpMessageType[] = [
  'discover',
  'offer',
  'request',
  'decline',
  'ack',
  'nak',
  'release',
  'inform',
];

/** RFC 2132; those that this client says or understands. */
const option = {
  pad: 0,
  hostName: 12,
  requestedIp: 50,
  leaseSeconds: 51,
  overload: 52,
  messageType: 53,
  serverId: 54,
  parameters: 55,
  maxMessageBytes: 57,
  renewSeconds: 58,
  rebindSeconds: 59,
  clientId: 61,
  end: 255,
} as const;

/** What a request asks for: lease time, server identifier, T1 and T2. */
const wantedParameters = [51, 54, 58, 59];

/** One frame of an Ethernet link with a message to a server. Throws RangeError for what does not fit an option. */
export function encodeDhcpFrame(
  link: LinkAddressing,
  toMac: Mac,
  { from, to, message }: Omit<DhcpPacket, 'fromMac'>,
): Uint8Array {
  const body = encodeMessage(message);
  const udpLength = 8 + body.length;
  const ports = message.op === 'request' ? [CLIENT_PORT, SERVER_PORT] : [SERVER_PORT, CLIENT_PORT];
  const udp = new ByteWriter();
  for (const port of ports) udp.u16(port);
  udp.u16(udpLength).u16(0).bytes(body);
  const datagram = udp.done();
  const addresses = new ByteWriter().bytes(ipv4Bytes(from)).bytes(ipv4Bytes(to)).done();
  const pseudo = new ByteWriter().bytes(addresses).u16(IPPROTO_UDP).u16(udpLength).bytes(datagram).done();
  // RFC 768: 0 says that there is none.
  new DataView(datagram.buffer).setUint16(6, checksum(pseudo) || 0xffff);
  const header = new ByteWriter()
    .u8(0x45)
    .u8(0)
    .u16(20 + udpLength);
  header.u16(0).u16(0).u8(TTL).u8(IPPROTO_UDP).u16(0).bytes(addresses);
  header.patchU16(10, checksum(header.done()));
  const frame = new ByteWriter();
  writeLinkHeader(frame, link, toMac, ETHERTYPE_IPV4);
  return frame.bytes(header.done()).bytes(datagram).done();
}

/**
 * Decodes a frame of an Ethernet link with a DHCP message to a client or a server. Throws DecodeError for all others.
 * The checksum of UDP is not looked at: the kernel leaves it open in what a server on the same machine sends.
 */
export function decodeDhcpFrame(frame: Uint8Array): DhcpPacket {
  const reader = new ByteReader('dhcp', frame);
  const { source, etherType } = readLinkHeader(reader, ETHERNET);
  if (etherType !== ETHERTYPE_IPV4 || source === undefined) return reader.fail('ethertype', 'is not IPv4');
  const first = reader.u8('version');
  const headerBytes = (first & 0x0f) * 4;
  if (first >> 4 !== 4 || headerBytes < 20)
    reader.fail('version', `0x${first.toString(16)} begins no IPv4 header`);
  reader.skip('type of service', 1);
  const total = reader.u16('total length');
  reader.skip('identification', 2);
  if ((reader.u16('fragment') & 0x3fff) !== 0) reader.fail('fragment', 'is a part of a packet');
  reader.skip('time to live', 1);
  if (reader.u8('protocol') !== IPPROTO_UDP) reader.fail('protocol', 'is not UDP');
  reader.skip('header checksum', 2);
  const from = ipFromBytes(reader.bytesOf('source', 4));
  const to = ipFromBytes(reader.bytesOf('destination', 4));
  reader.skip('options', headerBytes - 20);
  // What follows the packet is padding of the frame.
  const udp = new ByteReader('dhcp', reader.view('packet', total - headerBytes));
  const ports = `${udp.u16('source port')}>${udp.u16('destination port')}`;
  const op = { '67>68': 'reply' as const, '68>67': 'request' as const }[ports];
  if (op === undefined) return udp.fail('ports', `${ports} are not those of DHCP`);
  const length = udp.u16('length');
  udp.skip('checksum', 2);
  const message = decodeMessage(udp.view('datagram', length - 8));
  if (message.op !== op) udp.fail('op', `is a ${message.op} on ports ${ports}`);
  return { fromMac: source, from, to, message };
}

function encodeMessage(message: DhcpMessage): Uint8Array {
  const writer = new ByteWriter();
  writer
    .u8(message.op === 'request' ? 1 : 2)
    .u8(ETHERNET)
    .u8(6)
    .u8(0);
  writer.u32(message.xid).u16(Math.min(message.secs, 0xffff)).u16(0);
  writer.bytes(ipv4Bytes(message.ciaddr)).bytes(ipv4Bytes(message.yiaddr)).zeros(8);
  writer.bytes(macToBytes(message.chaddr)).zeros(10 + SNAME_BYTES + FILE_BYTES);
  writer.u32(MAGIC);
  const put = (code: number, value: Uint8Array): void => {
    if (value.length > 255) throw new RangeError(`option ${code} has ${value.length} bytes, 255 at most`);
    writer.u8(code).u8(value.length).bytes(value);
  };
  const number = (value: number): Uint8Array => new ByteWriter().u32(value).done();
  put(option.messageType, Uint8Array.of(types.indexOf(message.type) + 1));
  if (message.clientId !== undefined) put(option.clientId, message.clientId);
  if (message.requestedIp !== undefined) put(option.requestedIp, ipv4Bytes(message.requestedIp));
  if (message.serverId !== undefined) put(option.serverId, ipv4Bytes(message.serverId));
  if (message.leaseSeconds !== undefined) put(option.leaseSeconds, number(message.leaseSeconds));
  if (message.renewSeconds !== undefined) put(option.renewSeconds, number(message.renewSeconds));
  if (message.rebindSeconds !== undefined) put(option.rebindSeconds, number(message.rebindSeconds));
  if (message.hostName !== undefined) put(option.hostName, new TextEncoder().encode(message.hostName));
  if (message.maxMessageBytes !== undefined)
    put(option.maxMessageBytes, new ByteWriter().u16(message.maxMessageBytes).done());
  if (message.type === 'discover' || message.type === 'request')
    put(option.parameters, Uint8Array.from(wantedParameters));
  writer.u8(option.end);
  return writer.zeros(Math.max(0, LEAST_MESSAGE_BYTES - writer.length)).done();
}

function decodeMessage(bytes: Uint8Array): DhcpMessage {
  const reader = new ByteReader('dhcp', bytes);
  const op = reader.u8('op');
  if (op !== 1 && op !== 2) reader.fail('op', `${op} is neither request nor reply`);
  const hardware = [reader.u8('hardware type'), reader.u8('hardware length')];
  if (hardware[0] !== ETHERNET || hardware[1] !== 6) reader.fail('hardware type', 'is not Ethernet');
  reader.skip('hops', 1);
  const xid = reader.u32('xid');
  const secs = reader.u16('secs');
  reader.skip('flags', 2);
  const ciaddr = ipFromBytes(reader.bytesOf('ciaddr', 4));
  const yiaddr = ipFromBytes(reader.bytesOf('yiaddr', 4));
  reader.skip('siaddr and giaddr', 8);
  const chaddr = macFromBytes(reader.bytesOf('chaddr', 6));
  reader.skip('chaddr', 10);
  const sname = reader.view('sname', SNAME_BYTES);
  const file = reader.view('file', FILE_BYTES);
  if (reader.u32('magic cookie') !== MAGIC) reader.fail('magic cookie', 'is not that of DHCP');
  const options = new Map<number, Uint8Array>();
  readOptions(new ByteReader('dhcp', reader.rest('options')), options);
  // RFC 2131 4.1: the options go on in the fields for file and server names, in this order.
  const overload = options.get(option.overload)?.[0] ?? 0;
  if ((overload & 1) !== 0) readOptions(new ByteReader('dhcp', file), options);
  if ((overload & 2) !== 0) readOptions(new ByteReader('dhcp', sname), options);
  const type = types[(options.get(option.messageType)?.[0] ?? 0) - 1];
  if (type === undefined) return reader.fail('message type', 'is missing or unknown');
  const clientId = options.get(option.clientId);
  const hostName = options.get(option.hostName);
  return {
    ...{ op: op === 1 ? 'request' : 'reply', type, xid, secs, ciaddr, yiaddr, chaddr },
    ...field('requestedIp', addressOf(options, option.requestedIp)),
    ...field('serverId', addressOf(options, option.serverId)),
    ...field('leaseSeconds', numberOf(options, option.leaseSeconds, 4)),
    ...field('renewSeconds', numberOf(options, option.renewSeconds, 4)),
    ...field('rebindSeconds', numberOf(options, option.rebindSeconds, 4)),
    ...field('maxMessageBytes', numberOf(options, option.maxMessageBytes, 2)),
    ...field('hostName', hostName && new TextDecoder().decode(hostName)),
    ...field('clientId', clientId),
  };
}

/** RFC 2132 2; an option that comes again goes on where it ended (RFC 3396 7). */
function readOptions(reader: ByteReader, options: Map<number, Uint8Array>): void {
  while (reader.remaining > 0) {
    const code = reader.u8('option code');
    if (code === option.end) return;
    if (code === option.pad) continue;
    const value = reader.bytesOf(`option ${code}`, reader.u8(`length of option ${code}`));
    const before = options.get(code);
    options.set(code, before === undefined ? value : Uint8Array.of(...before, ...value));
  }
}

function addressOf(options: ReadonlyMap<number, Uint8Array>, code: number): Ip | undefined {
  const value = options.get(code);
  if (value === undefined) return undefined;
  return ipFromBytes(new ByteReader('dhcp', value).bytesOf(`option ${code}`, 4));
}

function numberOf(options: ReadonlyMap<number, Uint8Array>, code: number, bytes: 2 | 4): number | undefined {
  const value = options.get(code);
  if (value === undefined) return undefined;
  const reader = new ByteReader('dhcp', value);
  return bytes === 2 ? reader.u16(`option ${code}`) : reader.u32(`option ${code}`);
}

function field<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): Partial<Record<Name, Value>> {
  return (value === undefined ? {} : { [name]: value }) as Partial<Record<Name, Value>>;
}

function ipv4Bytes(address: Ip): Uint8Array {
  const bytes = ipToBytes(address);
  if (bytes.length !== 4) throw new RangeError(`DHCPv4 speaks of IPv4 only, not of ${address}`);
  return bytes;
}

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
