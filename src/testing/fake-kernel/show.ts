import { familyOf, formatPrefix } from '../../lib/ip.ts';
import type { Address, Link, Route, Rule } from '../../linux/types.ts';

const protocolNames: Readonly<Record<number, string>> = { 2: 'kernel', 3: 'boot', 4: 'static', 248: '248' };

/** `ip -o link`, without what a fake has no notion of. */
export function showLink(link: Link): string {
  const flags = [
    ...(link.adminUp && !link.carrier ? ['NO-CARRIER'] : []),
    link.loopback ? 'LOOPBACK' : 'BROADCAST,MULTICAST',
    ...(link.adminUp ? ['UP'] : []),
    ...(link.adminUp && link.carrier ? ['LOWER_UP'] : []),
  ];
  const state = link.operState.toUpperCase();
  return `${link.index}: ${link.name}: <${flags.join(',')}> mtu ${link.mtu} state ${state} link/ether ${link.mac}`;
}

/** `ip -o addr`. */
export function showAddress(address: Address, link: string, isSecondary: boolean): string {
  const words = [
    `${address.ifindex}: ${link} inet${familyOf(address.address) === 6 ? '6' : ''}`,
    `${address.address}/${address.prefixLength}`,
    ...(address.broadcast === undefined ? [] : [`brd ${address.broadcast}`]),
    `scope ${address.scope}`,
    ...(isSecondary ? ['secondary'] : []),
    ...(address.dadFailed ? ['dadfailed'] : []),
    ...(address.tentative ? ['tentative'] : []),
    ...(address.deprecated ? ['deprecated'] : []),
    ...(address.noDad ? ['nodad'] : []),
    ...(address.protocol === 0 ? [] : [`proto ${address.protocol}`]),
    `valid_lft ${lifetime(address.validLifetime)}`,
    `preferred_lft ${lifetime(address.preferredLifetime)}`,
  ];
  return words.join(' ');
}

/** `ip route show table all`. */
export function showRoute(route: Route, linkName: (ifindex: number) => string): string {
  const hops = route.nextHops.map((hop) =>
    [
      ...(hop.gateway === undefined ? [] : [`via ${hop.gateway}`]),
      ...(hop.ifindex === undefined ? [] : [`dev ${linkName(hop.ifindex)}`]),
      ...(route.nextHops.length > 1 ? [`weight ${hop.weight}`] : []),
    ].join(' '),
  );
  return [
    route.destination === undefined ? 'default' : formatPrefix(route.destination),
    route.nextHops.length > 1 ? hops.map((hop) => `nexthop ${hop}`).join(' ') : (hops[0] ?? ''),
    ...(route.table === 254 ? [] : [`table ${route.table}`]),
    `proto ${protocolNames[route.protocol] ?? route.protocol}`,
    ...(route.scope === 'global' ? [] : [`scope ${route.scope}`]),
    ...(route.source === undefined ? [] : [`src ${route.source}`]),
    ...(route.realm === undefined ? [] : [`realm ${route.realm}`]),
    ...(route.priority === undefined ? [] : [`metric ${route.priority}`]),
  ].join(' ');
}

/** `ip rule`. */
export function showRule(rule: Rule): string {
  const from = rule.from === undefined ? 'all' : formatPrefix(rule.from);
  const to = rule.to === undefined ? '' : ` to ${formatPrefix(rule.to)}`;
  const mark = rule.mark === undefined ? '' : ` fwmark 0x${rule.mark.toString(16)}`;
  return `${rule.priority}: from ${from}${to}${mark} lookup ${rule.table}`;
}

function lifetime(seconds: number | undefined): string {
  return seconds === undefined ? 'forever' : `${seconds}sec`;
}
