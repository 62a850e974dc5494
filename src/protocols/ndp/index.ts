/*
 * RFC 4861 4.3, 4.4, 4.6.1: solicitations and advertisements are decoded with the checks of 7.1.1 and
 * 7.1.2; 7.2.6: unsolicited advertisements are encoded. RFC 4862 5.4.3: duplicate address probes are
 * recognized; the detection itself is the kernel's. RFC 4391 4 and 9.3: InfiniBand group addresses and
 * options. Not done: router discovery, redirects, extension headers in front of the message.
 */
export type { NdpFrame, NeighbourAdvertisement, NeighbourMessage, NeighbourSolicitation } from './types.ts';
export {
  decodeNdpFrame,
  encodeUnsolicitedAdvertisement,
  isDuplicateAddressProbe,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
} from './codec.ts';
export { icmpv6Checksum } from './checksum.ts';
