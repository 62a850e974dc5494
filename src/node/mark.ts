import type { Address } from '../linux/types.ts';

/**
 * The owner mark of our addresses (IFA_PROTO, Linux 5.18; a number between those of linux/if_addr.h
 * and the end). Older kernels drop it: there we know our own only as long as this process lives.
 */
export const OWNER_PROTOCOL = 248;

/**
 * Marks of processes that carry Services; each sweeps only what has its own. The usual one, and a range
 * for several such processes on one machine. Whoever wants a VIP adopts it whichever of these it has.
 */
export const servicesMarks = { usual: 249, first: 192, last: 239 } as const;

export function isMarked({ protocol }: Address): boolean {
  return isMark(protocol);
}

/** `protocol`: 0 to 255. */
export function isMark(protocol: number): boolean {
  const { usual, first, last } = servicesMarks;
  return protocol === OWNER_PROTOCOL || protocol === usual || (protocol >= first && protocol <= last);
}
