import type { NetlinkMessage } from '../netlink/message.ts';
import type { KernelEvent, KernelEventKind } from '../types.ts';
import { decodeAddress } from './address.ts';
import * as rtm from './header.ts';
import { decodeLink } from './link.ts';
import { decodeNeighbour } from './neighbour.ts';
import { decodeRoute } from './route.ts';

const groups: Readonly<Record<KernelEventKind, readonly number[]>> = {
  link: [rtm.RTNLGRP_LINK],
  address: [rtm.RTNLGRP_IPV4_IFADDR, rtm.RTNLGRP_IPV6_IFADDR],
  route: [rtm.RTNLGRP_IPV4_ROUTE, rtm.RTNLGRP_IPV6_ROUTE],
  neighbour: [rtm.RTNLGRP_NEIGH],
};

/** The multicast groups to join for these kinds of event. */
export function groupsFor(kinds: readonly KernelEventKind[]): readonly number[] {
  return [...new Set(kinds)].flatMap((kind) => groups[kind]);
}

/** A message of those groups as an event; undefined when it is about nothing we model. */
export function decodeEvent(
  { type, payload }: NetlinkMessage,
  littleEndian?: boolean,
): KernelEvent | undefined {
  switch (type) {
    case rtm.RTM_NEWLINK:
    case rtm.RTM_DELLINK: {
      const link = decodeLink(payload, littleEndian);
      return link && { kind: 'link', change: type === rtm.RTM_NEWLINK ? 'set' : 'gone', link };
    }
    case rtm.RTM_NEWADDR:
    case rtm.RTM_DELADDR: {
      const address = decodeAddress(payload, littleEndian);
      return address && { kind: 'address', change: type === rtm.RTM_NEWADDR ? 'set' : 'gone', address };
    }
    case rtm.RTM_NEWROUTE:
    case rtm.RTM_DELROUTE: {
      const route = decodeRoute(payload, littleEndian);
      return route && { kind: 'route', change: type === rtm.RTM_NEWROUTE ? 'set' : 'gone', route };
    }
    case rtm.RTM_NEWNEIGH:
    case rtm.RTM_DELNEIGH: {
      const neighbour = decodeNeighbour(payload, littleEndian);
      return (
        neighbour && { kind: 'neighbour', change: type === rtm.RTM_NEWNEIGH ? 'set' : 'gone', neighbour }
      );
    }
    default:
      return undefined;
  }
}
