import type { Ip } from '../lib/ip.ts';
import { OWNER_PROTOCOL, type Leftover } from '../node/index.ts';

/**
 * Picks the control-plane VIPs that a predecessor left, whichever link they are on. Only our own VIPs: another
 * instance on this node marks its addresses the same way. And of those on `lo` only what carries the mark of held
 * ones, unless this process uses `lo` itself: others make this node a real server of somebody's balancer.
 */
export function ownLeftovers(own: ReadonlySet<Ip>, link: string): (leftover: Leftover) => boolean {
  return ({ address, link: on }) =>
    own.has(address.address) && (on !== 'lo' || link === 'lo' || address.protocol === OWNER_PROTOCOL);
}
