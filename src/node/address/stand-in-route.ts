import { hostLength } from '../../lib/ip.ts';
import type { AddressRequest, Route, RouteFilter } from '../../linux/types.ts';
import { isMark, OWNER_PROTOCOL } from '../mark.ts';

const LOCAL_TABLE = 255;
/** RTN_LOCAL. */
const LOCAL_TYPE = 2;

/** Among which routes those are that stand in for an address. */
export const standInRoutes = {
  table: LOCAL_TABLE,
  protocol: OWNER_PROTOCOL,
  family: 4,
} as const satisfies RouteFilter;

/** The priority is the mark of the address; beside the route that comes with the address it means nothing. */
export function routeOf({ ifindex, address, prefixLength, protocol }: AddressRequest): Route {
  return {
    family: 4,
    destination: { address, length: prefixLength },
    table: LOCAL_TABLE,
    protocol: OWNER_PROTOCOL,
    scope: 'host',
    type: LOCAL_TYPE,
    nextHops: [{ gateway: undefined, ifindex, weight: 1 }],
    priority: protocol,
    source: undefined,
    realm: undefined,
  };
}

/** Undefined for a route that is no stand-in. */
export function requestOf({ destination, type, nextHops, priority = 0 }: Route): AddressRequest | undefined {
  const ifindex = nextHops[0]?.ifindex;
  if (destination === undefined || ifindex === undefined || type !== LOCAL_TYPE || !isMark(priority))
    return undefined;
  if (destination.length !== hostLength(destination.address)) return undefined;
  return {
    ifindex,
    address: destination.address,
    prefixLength: destination.length,
    scope: 'global',
    validLifetime: undefined,
    preferredLifetime: 0,
    noDad: false,
    broadcast: undefined,
    protocol: priority,
  };
}
