import { formatPrefix } from '../lib/ip.ts';
import type { AddressKey, Neighbour, Route, Rule } from './types.ts';

/** How an object is named in error messages, the same for the kernel and its fake. */
export function describeAddress(key: AddressKey): string {
  return `${key.address}/${key.prefixLength} on link ${key.ifindex}`;
}

export function describeRoute(route: Route): string {
  const to = route.destination === undefined ? 'default' : formatPrefix(route.destination);
  const hops = route.nextHops.map((hop) => {
    const via = hop.gateway === undefined ? '' : ` via ${hop.gateway}`;
    return hop.ifindex === undefined ? via : `${via} on link ${hop.ifindex}`;
  });
  return `${to}${hops.join(',')} in table ${route.table}`;
}

export function describeNeighbour({ ifindex, address }: Pick<Neighbour, 'ifindex' | 'address'>): string {
  return `${address} on link ${ifindex}`;
}

export function describeRule(rule: Rule): string {
  const from = rule.from === undefined ? 'all' : formatPrefix(rule.from);
  const to = rule.to === undefined ? '' : ` to ${formatPrefix(rule.to)}`;
  return `${rule.priority}: from ${from}${to} lookup ${rule.table}`;
}
