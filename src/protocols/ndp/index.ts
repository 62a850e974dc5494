export type { NdpFrame, NeighbourAdvertisement, NeighbourMessage, NeighbourSolicitation } from './types.ts';
export {
  decodeNdpFrame,
  encodeUnsolicitedAdvertisement,
  isDuplicateAddressProbe,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
} from './codec.ts';
export { icmpv6Checksum } from './checksum.ts';
