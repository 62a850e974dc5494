import { familyOf, hostLength, parseIp, type Ip } from '../lib/ip.ts';
import { splitList } from './codecs.ts';

export interface Vip {
  readonly vip: Ip;
  readonly prefixLength: number;
}

/** The control-plane VIPs a configuration asks for: addresses, and names that have yet to be resolved. */
export interface VipList {
  readonly vips: readonly Vip[];
  readonly names: readonly string[];
  readonly problems: readonly VipProblem[];
}

export interface VipProblem {
  readonly about: 'address' | 'subnet';
  readonly problem: string;
  readonly remedy: string;
}

/** RFC 1123 labels; a name whose last label is a number is a broken address, not a name. */
function isName(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.');
  const last = labels.at(-1) ?? '';
  return (
    text.length <= 253 &&
    labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label)) &&
    !/^[0-9]+$/.test(last)
  );
}

/** Some part of an `address` value is a DNS name. */
export function hasNames(addresses: string): boolean {
  return splitList(addresses).some((part) => parseIp(part) === undefined && isName(part));
}

/**
 * Reads `address` (comma list) with `vip_subnet` (empty, `32`, `128` or `32,128`; IPv4 takes the first
 * part, IPv6 the second if there are two). Duplicates are dropped.
 */
export function parseVips(addresses: string, subnet: string): VipList {
  const vips = new Map<Ip, Vip>();
  const names: string[] = [];
  const problems: VipProblem[] = [];
  const lengths = subnet
    .split(',')
    .map((part) => part.trim())
    .filter((part, index, all) => all.length > 1 || part !== '' || index > 0);
  if (lengths.length > 2)
    problems.push({
      about: 'subnet',
      problem: `invalid subnetMasks provided: ${lengths.length} parts`,
      remedy: 'give at most two, IPv4 first: 32,128',
    });
  for (const part of splitList(addresses)) {
    const vip = parseIp(part);
    if (vip === undefined) {
      if (isName(part)) names.push(part);
      else problems.push(notAnAddress(part));
      continue;
    }
    const unusable = whyUnusable(vip);
    if (unusable !== undefined) {
      problems.push({
        about: 'address',
        problem: unusable,
        remedy: 'use a free unicast address of the link',
      });
      continue;
    }
    const length = prefixLength(vip, lengths);
    if (typeof length === 'number') vips.set(vip, { vip, prefixLength: length });
    else if (!problems.some(({ problem }) => problem === length.problem)) problems.push(length);
  }
  return { vips: [...vips.values()], names, problems };
}

function notAnAddress(part: string): VipProblem {
  const slash = part.indexOf('/');
  const remedy =
    slash > 0 && parseIp(part.slice(0, slash)) !== undefined
      ? `write ${part.slice(0, slash)}, and the prefix length into vip_subnet`
      : 'write an IPv4 or IPv6 address, a DNS name, or several separated by commas';
  return { about: 'address', problem: `invalid IP address: ${part}`, remedy };
}

function whyUnusable(vip: Ip): string | undefined {
  if (vip === '0.0.0.0' || vip === '::') return `${vip} is the unspecified address`;
  if (vip.startsWith('::ffff:')) return `${vip} is an IPv4 address written as IPv6`;
  if (vip === '255.255.255.255') return `${vip} is the broadcast address`;
  const multicast = familyOf(vip) === 4 ? Number(vip.split('.')[0]) >>> 4 === 14 : vip.startsWith('ff');
  return multicast ? `${vip} is a multicast address` : undefined;
}

function prefixLength(vip: Ip, lengths: readonly string[]): number | VipProblem {
  const full = hostLength(vip);
  const text = familyOf(vip) === 4 ? lengths[0] : (lengths[1] ?? lengths[0]);
  if (text === undefined) return full;
  const family = `IPv${familyOf(vip)}`;
  if (text === 'auto')
    return {
      about: 'subnet',
      problem: 'auto subnet discovery only works for services',
      remedy: `give the prefix length, such as ${full}`,
    };
  if (!/^[0-9]{1,3}$/.test(text))
    return {
      about: 'subnet',
      problem: `invalid prefix length "${text}" for ${family}`,
      remedy: `write the number alone, without slash, such as ${full}`,
    };
  const length = Number(text);
  if (length > full || length === 0)
    return {
      about: 'subnet',
      problem:
        length === 0
          ? `a VIP cannot have prefix length 0`
          : `provided CIDR mask ${length} is greater than ${full}, the most for ${family} (${vip})`,
      remedy:
        lengths.length === 2 ? 'IPv4 comes first: 32,128' : `use 1 to ${full}, or 32,128 for both families`,
    };
  return length;
}

/** The prefix lengths that an empty `vip_subnet` stands for: 32, 128, or 32,128 for a mixed list or a name. */
export function derivedSubnet(addresses: string): string {
  // A name may come to have addresses of either family.
  if (hasNames(addresses)) return '32,128';
  const families = new Set(
    splitList(addresses).flatMap((part) => {
      const vip = parseIp(part);
      return vip === undefined ? [] : [familyOf(vip)];
    }),
  );
  return [4 as const, 6 as const]
    .filter((family) => families.has(family))
    .map((family) => (family === 4 ? '32' : '128'))
    .join(',');
}

/** Prefix lengths of the VIPs of Services; `auto` is that of the link's own address in the same subnet. */
export interface ServicePrefixes {
  readonly prefix4: number | 'auto';
  readonly prefix6: number | 'auto';
  readonly problems: readonly VipProblem[];
}

/**
 * Reads `vip_subnet` for Services: `IPv4,IPv6`, each a length, `auto` or empty. One part alone is for
 * both families as far as it fits: above 32 it is meant for IPv6, up to 32 for IPv4.
 */
export function servicePrefixes(subnet: string): ServicePrefixes {
  const parts = subnet.split(',').map((part) => part.trim());
  const problems: VipProblem[] = [];
  const read = (text: string, full: number): number | 'auto' => {
    if (text === '') return full;
    if (text === 'auto') return 'auto';
    const length = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0;
    if (length >= 1 && length <= full) return length;
    const problem = `invalid prefix length "${text}" for the VIPs of Services`;
    problems.push({
      about: 'subnet',
      problem,
      remedy: `use 1 to ${full}, or auto; IPv4 comes first: 32,128`,
    });
    return full;
  };
  if (parts.length > 2) {
    const problem = `invalid subnetMasks provided: ${parts.length} parts`;
    problems.push({ about: 'subnet', problem, remedy: 'give at most two, IPv4 first: 32,128' });
  }
  const [first = '', second] = parts;
  const isForIpv6 = Number(first) > 32;
  const prefix4 = second === undefined && isForIpv6 ? 32 : read(first, 32);
  const alone = isForIpv6 || first === 'auto' ? first : '';
  return { prefix4, prefix6: read(second ?? alone, 128), problems };
}
