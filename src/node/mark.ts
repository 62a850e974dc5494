import type { Address } from '../linux/types.ts';

/**
 * The owner mark of our addresses (IFA_PROTO, Linux 5.18; a number between those of linux/if_addr.h
 * and the end). Older kernels drop it: there we know our own only as long as this process lives.
 */
export const OWNER_PROTOCOL = 248;

export function isMarked(address: Address): boolean {
  return address.protocol === OWNER_PROTOCOL;
}
