import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import {
  familyOf,
  ipFromBytes,
  ipToBytes,
  ipv4ToNumber,
  macFromBytes,
  type Ip,
  type Mac,
} from '../../lib/ip.ts';
import {
  hardwareAddress,
  hardwareAddressLength,
  ETHERTYPE_ARP,
  readLinkHeader,
  writeLinkHeader,
} from '../frame/codec.ts';
import type { HardwareType, LinkAddressing } from '../frame/index.ts';
import type { ArpFrame, ArpPacket, GratuitousForm } from './types.ts';

const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

const PROTOCOL_IPV4 = 0x0800;

/**
 * One ARP frame, link header included, ready for a packet socket on that link. Addresses of another
 * length than the link's are a RangeError.
 */
export function encodeArpFrame(link: LinkAddressing, destination: Mac, packet: ArpPacket): Uint8Array {
  const writer = new ByteWriter();
  writeLinkHeader(writer, link, destination, ETHERTYPE_ARP);
  return writer
    .u16(packet.hardwareType)
    .u16(PROTOCOL_IPV4)
    .u8(hardwareAddressLength(packet.hardwareType))
    .u8(4)
    .u16(packet.operation)
    .bytes(hardwareAddress(packet.hardwareType, packet.senderMac))
    .bytes(ipv4Bytes(packet.senderIp))
    .bytes(hardwareAddress(packet.hardwareType, packet.targetMac))
    .bytes(ipv4Bytes(packet.targetIp))
    .done();
}

/** Decodes one frame of a link of this type; padding after the packet is ignored. Throws DecodeError. */
export function decodeArpFrame(frame: Uint8Array, hardwareType: HardwareType): ArpFrame {
  const reader = new ByteReader('arp', frame);
  const header = readLinkHeader(reader, hardwareType);
  if (header.etherType !== ETHERTYPE_ARP)
    reader.fail('ethertype', `0x${header.etherType.toString(16)} is not ARP`);
  expect(reader, 'hardware type', reader.u16('hardware type'), hardwareType);
  expect(reader, 'protocol type', reader.u16('protocol type'), PROTOCOL_IPV4);
  const length = hardwareAddressLength(hardwareType);
  expect(reader, 'hardware length', reader.u8('hardware length'), length);
  expect(reader, 'protocol length', reader.u8('protocol length'), 4);
  const operation = reader.u16('operation');
  const senderMac = macFromBytes(reader.bytesOf('sender hardware address', length));
  const senderIp = ipFromBytes(reader.bytesOf('sender protocol address', 4));
  const targetMac = macFromBytes(reader.bytesOf('target hardware address', length));
  const targetIp = ipFromBytes(reader.bytesOf('target protocol address', 4));
  return { header, packet: { hardwareType, operation, senderMac, senderIp, targetMac, targetIp } };
}

/**
 * A gratuitous ARP: sender and target are both the VIP, sent to everybody on the link. As a reply
 * its target is our own hardware address, as a request the link's broadcast address.
 */
export function encodeGratuitousArp(link: LinkAddressing, vip: Ip, form: GratuitousForm): Uint8Array {
  return encodeArpFrame(link, link.broadcast, {
    hardwareType: link.hardwareType,
    operation: form === 'reply' ? ARP_REPLY : ARP_REQUEST,
    senderMac: link.mac,
    senderIp: vip,
    targetMac: form === 'reply' ? link.mac : link.broadcast,
    targetIp: vip,
  });
}

/**
 * Makes of a gratuitous ARP of this link the one for another VIP: they differ in the sender's and the target's
 * protocol address only, the last but one and the last field but for the target's hardware address between.
 */
export function readdressGratuitousArp(frame: Uint8Array, hardwareType: HardwareType, vip: Ip): void {
  if (familyOf(vip) !== 4) throw notIpv4(vip);
  const address = ipv4ToNumber(vip);
  const target = frame.length - 4;
  const sender = target - hardwareAddressLength(hardwareType) - 4;
  // Hundreds a second: no object is made for any.
  for (let i = 0, rest = address; i < 4; i++, rest <<= 8) {
    frame[target + i] = rest >>> 24;
    frame[sender + i] = rest >>> 24;
  }
}

function expect(reader: ByteReader, field: string, value: number, wanted: number): void {
  if (value !== wanted) reader.fail(field, `${value}, not ${wanted}`);
}

function ipv4Bytes(address: Ip): Uint8Array {
  const bytes = ipToBytes(address);
  if (bytes.length !== 4) throw notIpv4(address);
  return bytes;
}

function notIpv4(address: Ip): RangeError {
  return new RangeError(`ARP speaks of IPv4 only, not of ${address}`);
}
