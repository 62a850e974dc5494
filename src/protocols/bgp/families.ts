import type { Family } from '../../lib/ip.ts';

/** IANA address family numbers, and the one subsequent family spoken here. */
export const AFI_IPV4 = 1;
export const AFI_IPV6 = 2;
export const SAFI_UNICAST = 1;

/** IPv4 or IPv6 unicast; undefined for anything else. */
export function unicastFamily(afi: number, safi: number): Family | undefined {
  if (safi !== SAFI_UNICAST) return undefined;
  if (afi === AFI_IPV4) return 4;
  return afi === AFI_IPV6 ? 6 : undefined;
}
