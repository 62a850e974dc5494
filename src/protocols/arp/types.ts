import type { Ip, Mac } from '../../lib/ip.ts';
import type { HardwareType, LinkHeader } from '../frame/index.ts';

/** An ARP packet for IPv4 (RFC 826), over Ethernet or InfiniBand (RFC 4391 9.1). */
export interface ArpPacket {
  readonly hardwareType: HardwareType;
  /** 1 request, 2 reply; others (RARP, InARP) are kept as they are. */
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderIp: Ip;
  readonly targetMac: Mac;
  readonly targetIp: Ip;
}

export interface ArpFrame {
  readonly header: LinkHeader;
  readonly packet: ArpPacket;
}

/** Both spellings of "the VIP is here": some hosts update their cache only on one of them (RFC 5944 4.6). */
export type GratuitousForm = 'reply' | 'request';
