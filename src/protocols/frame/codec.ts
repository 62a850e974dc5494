import { macFromBytes, macToBytes, type Mac } from '../../lib/ip.ts';
import type { ByteReader } from '../../lib/bytes.ts';
import { ByteWriter } from '../../lib/bytes.ts';
import type { HardwareType, LinkAddressing, LinkHeader } from './types.ts';

export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;

export const ETHERNET = 1;
export const INFINIBAND = 32;

/**
 * Bytes before the payload as an AF_PACKET socket of type SOCK_RAW sees them: 14 on Ethernet. On
 * InfiniBand the kernel (drivers/infiniband/ulp/ipoib, since Linux 4.10) takes the 20-byte hardware
 * address of the destination in front of the 4-byte header of RFC 4391 6; received frames have the
 * same room, filled with zeros.
 */
export function linkHeaderLength(hardwareType: HardwareType): number {
  return hardwareType === INFINIBAND ? 24 : 14;
}

/** Bytes of a hardware address on such a link. */
export function hardwareAddressLength(hardwareType: HardwareType): number {
  return hardwareType === INFINIBAND ? 20 : 6;
}

/** The hardware address as bytes; a link that reports one of another length is a programming error here. */
export function hardwareAddress(hardwareType: HardwareType, mac: Mac): Uint8Array {
  const bytes = macToBytes(mac);
  const length = hardwareAddressLength(hardwareType);
  if (bytes.length !== length)
    throw new RangeError(
      `a hardware address of type ${hardwareType} has ${length} bytes, not ${bytes.length}`,
    );
  return bytes;
}

/**
 * The header of a frame as a packet socket takes it: that of IP over InfiniBand has no source, and two reserved octets.
 * Throws RangeError for an address of another length.
 */
export function writeLinkHeader(
  writer: ByteWriter,
  link: LinkAddressing,
  destination: Mac,
  etherType: number,
): void {
  writer.bytes(hardwareAddress(link.hardwareType, destination));
  if (link.hardwareType === INFINIBAND) {
    writer.u16(etherType).u16(0);
    return;
  }
  writer.bytes(hardwareAddress(link.hardwareType, link.mac)).u16(etherType);
}

/** The reverse; throws DecodeError where the frame ends within the header. */
export function readLinkHeader(reader: ByteReader, hardwareType: HardwareType): LinkHeader {
  const length = hardwareAddressLength(hardwareType);
  const destination = macFromBytes(reader.bytesOf('destination', length));
  if (hardwareType === INFINIBAND) {
    const etherType = reader.u16('ethertype');
    reader.skip('reserved', 2);
    return { destination, source: undefined, etherType };
  }
  const source = macFromBytes(reader.bytesOf('source', length));
  return { destination, source, etherType: reader.u16('ethertype') };
}

/**
 * The hardware address of ff02::1 (all nodes): RFC 2464 7 for Ethernet; RFC 4391 4 for InfiniBand,
 * where partition and scope come from the broadcast address of the link.
 */
export function allNodesHardwareAddress(link: LinkAddressing): Mac {
  if (link.hardwareType !== INFINIBAND) return '33:33:00:00:00:01' as Mac;
  const broadcast = hardwareAddress(INFINIBAND, link.broadcast);
  const scope = (broadcast[5] ?? 0) & 0x0f;
  const partition = broadcast.subarray(8, 10);
  const bytes = new ByteWriter()
    .bytes(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 0x10 | scope, 0x60, 0x1b))
    .bytes(partition)
    .zeros(9)
    .u8(1);
  return macFromBytes(bytes.done());
}
