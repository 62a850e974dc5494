/*
 * RFC 826: IPv4 over Ethernet, encode and decode. RFC 4391 9.1: the same over InfiniBand, hardware type
 * 32, 20-byte addresses. RFC 5944 4.6: gratuitous ARP in both forms. RFC 5227: probes and defence are not
 * done here; the kernel answers requests, because the VIP is really on the link.
 */
export type { ArpFrame, ArpPacket, GratuitousForm } from './types.ts';
export {
  ARP_REPLY,
  decodeArpFrame,
  encodeArpFrame,
  encodeGratuitousArp,
  readdressGratuitousArp,
} from './codec.ts';
