export type { HardwareType, LinkAddressing, LinkHeader } from './types.ts';
export {
  ETHERNET,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV6,
  hardwareAddressLength,
  INFINIBAND,
  linkHeaderLength,
} from './codec.ts';
