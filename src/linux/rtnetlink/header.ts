import type { Family } from '../../lib/ip.ts';
import { AF_INET, AF_INET6 } from '../sys.ts';
import type { Scope } from '../types.ts';

/** Message types of rtnetlink (linux/rtnetlink.h). */
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;

/** Multicast groups. */
export const RTNLGRP_LINK = 1;
export const RTNLGRP_NEIGH = 3;
export const RTNLGRP_IPV4_IFADDR = 5;
export const RTNLGRP_IPV4_ROUTE = 7;
export const RTNLGRP_IPV6_IFADDR = 9;
export const RTNLGRP_IPV6_ROUTE = 11;

export function familyNumber(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** undefined for families this program has nothing to do with (bridge, MPLS ...). */
export function familyFromNumber(number: number): Family | undefined {
  if (number === AF_INET) return 4;
  return number === AF_INET6 ? 6 : undefined;
}

const scopes: readonly (readonly [number, Scope])[] = [
  [0, 'global'],
  [200, 'site'],
  [253, 'link'],
  [254, 'host'],
  [255, 'nowhere'],
];

const scopeNames = new Map(scopes);
const scopeNumbers = new Map(scopes.map(([number, name]) => [name, number]));

export function scopeNumber(scope: Scope): number {
  return scopeNumbers.get(scope) ?? 0;
}

/** Scopes between the named ones are the administrator's own and count as global. */
export function scopeFromNumber(number: number): Scope {
  return scopeNames.get(number) ?? 'global';
}

export const scopeNowhere = 255;
