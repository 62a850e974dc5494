import { familyOf, hostLength, type Ip } from '../../lib/ip.ts';
import type { Link, Route } from '../../linux/types.ts';

/** What all our routes have in common; people redistribute them by it. */
export interface RouteForm {
  /** Kernel table. */
  readonly table: number;
  /** Route protocol (0-255), our mark: what has it in our table is ours. */
  readonly protocol: number;
  /** RTN_* of linux/rtnetlink.h: 1 unicast, 2 local. */
  readonly type: number;
}

const RTN_LOCAL = 2;
/** What a kube-vip marks its routes with that was told nothing else: 248, and RTPROT_BOOT in old versions. */
const usualProtocols: readonly number[] = [248, 3];
/** IP6_RT_PRIO_USER: what Linux makes of an IPv6 route without a priority. */
const IPV6_PRIORITY = 1024;

/**
 * The route to a VIP over a link: to this one address, whatever prefix the address has on its link.
 * `turn` alternates the realm, so that writing it again is a change that routing daemons are told of;
 * IPv6 routes have no realm, and Linux reports each time that they are written.
 */
export function routeTo(vip: Ip, link: Link, form: RouteForm, turn: number): Route {
  const family = familyOf(vip);
  return {
    family,
    destination: { address: vip, length: hostLength(vip) },
    ...form,
    scope: scopeFor(family, form.type),
    nextHops: [{ gateway: undefined, ifindex: link.index, weight: 1 }],
    priority: undefined,
    source: undefined,
    realm: turn === 0 ? undefined : 2 - (turn % 2),
  };
}

/** Local routes reach no further than the link; of IPv4 ones Linux accepts scope "host" only. */
function scopeFor(family: 4 | 6, type: number): Route['scope'] {
  if (type !== RTN_LOCAL) return 'global';
  return family === 4 ? 'host' : 'link';
}

/** Linux has one route for each of these, however it looks otherwise. */
export function routeId({ family, destination, priority }: Route): string {
  const to = destination === undefined ? 'default' : `${destination.address}/${destination.length}`;
  return `${family} ${to} ${priority ?? (family === 6 ? IPV6_PRIORITY : 0)}`;
}

export function ifindexOf(route: Route): number | undefined {
  return route.nextHops.length === 1 ? route.nextHops[0]?.ifindex : undefined;
}

/** As far as we decide it: the realm only makes a change visible. */
export function looksLike(observed: Route, wanted: Route): boolean {
  return (
    observed.protocol === wanted.protocol &&
    observed.type === wanted.type &&
    ifindexOf(observed) === ifindexOf(wanted) &&
    observed.nextHops[0]?.gateway === undefined &&
    (observed.family === 6 || observed.scope === wanted.scope)
  );
}

/** Ours, or what a kube-vip left that had no other protocol of its own: the same route but for its protocol. */
export function mayReplace(observed: Route, wanted: Route): boolean {
  if (observed.protocol === wanted.protocol) return true;
  return (
    usualProtocols.includes(observed.protocol) &&
    looksLike({ ...observed, protocol: wanted.protocol }, wanted)
  );
}
