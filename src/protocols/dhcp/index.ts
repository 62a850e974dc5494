/*
 * RFC 2131: the client, in all states of 4.4 with its timers and back-off, without DHCPDECLINE (nobody asks whether
 * the address is in use: who claims a VIP is heard of anyway) and DHCPINFORM. RFC 2132: the options of `types.ts`;
 * RFC 3396: long options; RFC 2131 4.1: overloaded ones. Ethernet only.
 */
export { decodeDhcpFrame, encodeDhcpFrame, ETHERTYPE_IPV4 } from './codec.ts';
export {
  stepDhcp,
  stoppedDhcp,
  type DhcpContext,
  type DhcpEffect,
  type DhcpEvent,
  type DhcpState,
} from './machine.ts';
export type { DhcpMessage, DhcpPacket } from './types.ts';
