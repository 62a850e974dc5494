export type { ArpFrame, ArpPacket, GratuitousForm } from './types.ts';
export { ARP_REPLY, ARP_REQUEST, decodeArpFrame, encodeArpFrame, encodeGratuitousArp } from './codec.ts';
