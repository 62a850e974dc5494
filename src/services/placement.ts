import type { Fence } from '../lib/fence.ts';
import { familyOf, hostLength, ipToBytes, type Ip } from '../lib/ip.ts';
import { clip } from '../lib/text.ts';
import type { AddressSpec, GuardedPort, Spec } from '../node/types.ts';
import type { Withhold } from './decide.ts';
import type { PlacementConfig } from './types.ts';

export interface OwnAddress {
  readonly link: string;
  readonly address: Ip;
  readonly prefixLength: number;
}

/** What placing a VIP depends on. */
export interface LocalView {
  hasLink(name: string): boolean;
  /** In an order that stays the same while links do. */
  ownAddresses(): Iterable<OwnAddress>;
  /** Link that carries this address as the machine's own. */
  ownerOf(address: Ip): string | undefined;
  /** Another node that is known to the cluster by this address. */
  nodeOf?(address: Ip): string | undefined;
}

/** What is another one now: names of links that came, went or were renamed, and own addresses, those of these links among them. */
export interface LocalChange {
  readonly links: readonly string[];
  readonly addresses: readonly Pick<OwnAddress, 'address' | 'prefixLength'>[];
}

export interface Place {
  readonly kind: 'place';
  readonly vip: Ip;
  readonly link: string;
  readonly prefixLength: number;
  /** It is an address of a name: it goes by itself if this process dies. */
  readonly fromName?: boolean;
}

export const automatic = 'auto';
/** Lifetime of an address that came from a name, seconds; it is renewed as long as it is wanted. */
const NAME_LIFETIME_S = 60;

/**
 * Where a VIP goes. Link: the Service's own (`asked`), else `vip_servicesinterface`, else `vip_interface`;
 * `auto` is the link with an address whose subnet holds the VIP, the smallest such subnet, else the next in that order.
 */
export function placeVip(
  vip: Ip,
  asked: string | undefined,
  config: PlacementConfig,
  local: LocalView,
): Place | Withhold {
  const why = config.reserved.get(vip);
  if (why !== undefined) return withhold('address-in-use', `${vip} is ${why}`);
  const owner = local.ownerOf(vip);
  if (owner !== undefined) {
    return withhold('address-in-use', `${vip} is an address of this node itself, on ${owner}`);
  }
  const other = local.nodeOf?.(vip);
  if (other !== undefined) return withhold('address-in-use', `${vip} is the address of node ${other}`);
  const link = chooseLink(vip, asked, config, local);
  if (!local.hasLink(link)) return withhold('no-link', `no link ${clip(link)} for ${vip} on this node`);
  const wanted = familyOf(vip) === 4 ? config.prefix4 : config.prefix6;
  const prefixLength = wanted === automatic ? subnetLength(vip, link, local) : wanted;
  if (prefixLength === undefined) {
    return withhold('no-link', `vip_subnet=auto: no address on ${link} has a subnet with ${vip} in it`);
  }
  return { kind: 'place', vip, link, prefixLength };
}

function chooseLink(vip: Ip, asked: string | undefined, config: PlacementConfig, local: LocalView): string {
  for (const choice of [asked ?? '', config.servicesLink]) {
    if (choice === '') continue;
    if (choice !== automatic) return choice;
    const found = nearest(vip, local.ownAddresses());
    if (found !== undefined) return found.link;
  }
  return config.mainLink;
}

function subnetLength(vip: Ip, link: string, local: LocalView): number | undefined {
  const here = [...local.ownAddresses()].filter((own) => own.link === link);
  return nearest(vip, here)?.prefixLength;
}

/** The one with the smallest subnet that the VIP lies in, the first of those; a host address has no subnet. */
function nearest(vip: Ip, addresses: Iterable<OwnAddress>): OwnAddress | undefined {
  let found: OwnAddress | undefined;
  for (const own of addresses) {
    if (familyOf(own.address) !== familyOf(vip) || own.prefixLength === hostLength(vip)) continue;
    if (own.prefixLength > (found?.prefixLength ?? -1) && isInSubnet(vip, own)) found = own;
  }
  return found;
}

/** Both are of one family. */
export function isInSubnet(
  vip: Ip,
  { address, prefixLength }: Pick<OwnAddress, 'address' | 'prefixLength'>,
): boolean {
  const [a, b] = [ipToBytes(vip), ipToBytes(address)];
  return a.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefixLength - i * 8));
    const mask = (0xff00 >> bits) & 0xff;
    return (byte & mask) === ((b[i] ?? 0) & mask);
  });
}

/** What may reach the VIPs; undefined: everything. */
export type Ports = readonly GuardedPort[] | undefined;

/**
 * What the holder wants of these places, guarded, as long as the fence holds: the address, announced, or
 * the route, or the peers knowing of it.
 */
export function holderSpecs(
  places: readonly Place[],
  config: PlacementConfig,
  fence: Fence,
  ports?: Ports,
): Spec[] {
  if (config.reach === 'route')
    return places.flatMap((place): Spec[] => {
      const { vip, link } = place;
      return [...guardSpec(place, ports), { kind: 'route', vip, link, turn: 0, fence }];
    });
  if (config.reach === 'bgp')
    return places.flatMap((place): Spec[] => {
      const { vip, link } = place;
      const address: readonly Spec[] = config.attach ? [addressSpec(place, config, fence)] : [];
      return [...guardSpec(place, ports), ...address, { kind: 'advertisement', vip, link, fence }];
    });
  const specs: Spec[] = [];
  for (const place of places) {
    const { vip, link } = place;
    if (ports !== undefined) specs.push({ kind: 'guard', vip, link, ports });
    specs.push(addressSpec(place, config, fence));
    specs.push({ kind: 'announcement', vip, link, periodMs: config.announcePeriodMs, fence });
  }
  return specs;
}

/** What a former holder keeps under `vip_preserve_on_leadership_loss`: the IPv4 addresses, silent. */
export function preservedSpecs(places: readonly Place[], config: PlacementConfig, ports?: Ports): Spec[] {
  if (config.reach !== 'layer2') return [];
  return places
    .filter(({ vip }) => familyOf(vip) === 4)
    .flatMap((place) => [...guardSpec(place, ports), addressSpec(place, config)]);
}

function guardSpec({ vip, link }: Place, ports: Ports): Spec[] {
  return ports === undefined ? [] : [{ kind: 'guard', vip, link, ports }];
}

function addressSpec(
  { vip, link, prefixLength, fromName = false }: Place,
  config: PlacementConfig,
  fence?: Fence,
): AddressSpec {
  const spec: AddressSpec = {
    kind: 'address',
    vip,
    prefixLength,
    link,
    scope: link === 'lo' && !config.globalScopeOnLo ? 'host' : 'global',
    validLifetime: fromName ? NAME_LIFETIME_S : undefined,
    noDad: config.noDad,
    mark: config.mark,
  };
  return fence === undefined ? spec : { ...spec, fence };
}

function withhold(reason: Withhold['reason'], message: string): Withhold {
  return { kind: 'withhold', reason, message };
}
