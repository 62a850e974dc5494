export type { ArpFrame, ArpPacket, GratuitousForm } from './types.ts';
export { ARP_REPLY, decodeArpFrame, encodeArpFrame, encodeGratuitousArp } from './codec.ts';
