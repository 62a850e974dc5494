import type { Family, Ip } from '../lib/ip.ts';

/** What is asked of a link here; the kernel's own type has more. */
export interface LinkState {
  readonly name: string;
  readonly operState: string;
}

export type LinkVerdict =
  | { readonly usable: true; readonly warning?: string }
  | { readonly usable: false; readonly problem: string; readonly remedy: string };

/** The word that lets Services pick the link by the subnet of their address. */
const automatic = 'auto';

/** May VIPs go on the link of this name? `link` is undefined when the kernel has none. */
export function checkInterface(name: string, link: LinkState | undefined, allowNotUp: boolean): LinkVerdict {
  if (name === automatic) return { usable: true };
  if (link === undefined)
    return {
      usable: false,
      problem: `${name} is not valid interface, reason: there is no link with this name`,
      remedy:
        'set vip_interface to one that "ip link" lists, or leave it empty for that of the default route',
    };
  if (link.operState === 'up') return { usable: true };
  const state = `operational state of ${name} is ${link.operState}`;
  if (link.operState === 'unknown' || allowNotUp)
    return { usable: true, warning: `${state}; using it anyway` };
  return {
    usable: false,
    problem: `${name} is not valid interface, reason: ${state}`,
    remedy: 'bring it up, or set vip_allow_interface_not_up=true',
  };
}

/** What is asked of a route here; the kernel's own type has more. */
export interface RouteFacts {
  readonly family: Family;
  /** undefined is the default route. */
  readonly destination: { readonly address: Ip; readonly length: number } | undefined;
  readonly table: number;
  /** RTN_*. */
  readonly type: number;
  readonly priority: number | undefined;
  readonly nextHops: readonly { readonly ifindex: number | undefined }[];
}

const mainTable = 254;
const unicast = 1;
/** IPv6 routes without a priority have this one. */
const ipv6DefaultPriority = 1024;

/**
 * Index of the link of the default route: IPv4 before IPv6, the lowest priority number first, of a multipath
 * route the first next hop with a link. undefined when there is no default route.
 */
export function defaultRouteLink(routes: readonly RouteFacts[]): number | undefined {
  for (const family of [4, 6] as const) {
    const candidates = routes
      .filter((route) => route.family === family && isDefault(route))
      .toSorted((a, b) => priority(a) - priority(b));
    for (const route of candidates) {
      const hop = route.nextHops.find(({ ifindex }) => ifindex !== undefined && ifindex > 0);
      if (hop?.ifindex !== undefined) return hop.ifindex;
    }
  }
  return undefined;
}

function isDefault(route: RouteFacts): boolean {
  const everything = route.destination === undefined || route.destination.length === 0;
  return everything && route.table === mainTable && route.type === unicast;
}

function priority(route: RouteFacts): number {
  return route.priority ?? (route.family === 6 ? ipv6DefaultPriority : 0);
}
