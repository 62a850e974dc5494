import type { Config, PeerSetting } from '../config/index.ts';
import { familyOf, isLinkLocal, parseIp, type Family, type Ip } from '../lib/ip.ts';
import type { Address, Link } from '../linux/types.ts';
import type { PeerConfig, SpeakerOptions } from '../node/types.ts';
import type { BgpAnnotations } from './bgp-annotations.ts';

export type BgpSettings = Pick<
  Config,
  | 'bgpAs'
  | 'bgpRouterId'
  | 'bgpRouterInterface'
  | 'bgpSourceIf'
  | 'bgpSourceIp'
  | 'bgpHoldTime'
  | 'bgpKeepaliveInterval'
  | 'mpbgpNexthop'
  | 'mpbgpIpv4'
  | 'mpbgpIpv6'
  | 'nodeName'
>;

/** What is looked up on the node. */
export interface BgpSurroundings {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  /** The link of the VIPs. */
  readonly link: string;
}

export type SpeakerPlan =
  { readonly options: SpeakerOptions; readonly warnings: readonly string[] } | { readonly problem: string };

/** Seconds; kube-vip's, and not a setting there either. */
const CONNECT_RETRY = 10;
const MULTIHOP_TTL = 50;
/** Milliseconds: what a program that shares its processor can keep, and 32 bits of microseconds. */
const BFD_INTERVALS = { least: 10, most: 4_294_967 };

/** Puts settings, Node annotations (which win) and what the node has together into sessions to keep. */
export function planSpeaker(
  config: BgpSettings,
  peers: readonly PeerSetting[],
  annotations: BgpAnnotations | undefined,
  host: BgpSurroundings,
): SpeakerPlan {
  const settings = annotations === undefined ? config : annotated(config, annotations);
  const routerId = chooseRouterId(settings, host);
  if (routerId === undefined)
    return { problem: 'no router id: set bgp_routerid to an IPv4 address, or bgp_routerinterface' };
  const warnings: string[] = [];
  const wanted = annotations === undefined ? peers : annotatedPeers(annotations);
  return {
    options: {
      localAs: settings.bgpAs,
      routerId,
      holdTime: settings.bgpHoldTime,
      keepaliveInterval: settings.bgpKeepaliveInterval,
      connectRetry: CONNECT_RETRY,
      host: settings.nodeName,
      peers: wanted.flatMap((peer) => planPeer(peer, settings, host, warnings)),
    },
    warnings,
  };
}

function annotated(config: BgpSettings, { localAs, sourceIp }: BgpAnnotations): BgpSettings {
  return { ...config, bgpAs: localAs, bgpRouterId: sourceIp, bgpSourceIp: sourceIp, bgpSourceIf: '' };
}

function annotatedPeers({ peers, peerAs, password, multiHop }: BgpAnnotations): readonly PeerSetting[] {
  return peers.map((address) => {
    const bfd = { enabled: false, rxMs: 300, txMs: 300, multiplier: 3 };
    const mpbgp = { mpbgpNexthop: '', mpbgpIpv4: '', mpbgpIpv6: '' };
    return { address, interface: '', as: peerAs, password, multiHop, port: 179, ...mpbgp, bfd };
  });
}

/** As configured; else an IPv4 address of the named link, the source address, or the link of the VIPs. */
function chooseRouterId(config: BgpSettings, host: BgpSurroundings): Ip | undefined {
  if (config.bgpRouterId !== '') return parseIp(config.bgpRouterId);
  if (config.bgpRouterInterface !== '') return addressesOf(host, config.bgpRouterInterface, 4)[0];
  const source = parseIp(config.bgpSourceIp);
  if (source !== undefined && familyOf(source) === 4) return source;
  return (
    addressesOf(host, config.bgpSourceIf, 4)[0] ??
    addressesOf(host, host.link, 4)[0] ??
    host.links.flatMap(({ name }) => addressesOf(host, name, 4))[0]
  );
}

/** Addresses that are the node's own: no loopback, no link-local ones, and no VIP (those are deprecated). */
function addressesOf({ links, addresses }: BgpSurroundings, link: string, family: Family): readonly Ip[] {
  const index = links.find(({ name }) => name === link)?.index;
  return addresses
    .filter(({ ifindex, deprecated }) => ifindex === index && !deprecated)
    .map(({ address }) => address)
    .filter((each) => familyOf(each) === family && !isLinkLocal(each))
    .filter((each) => each !== '::1' && !each.startsWith('127.'));
}

function planPeer(
  peer: PeerSetting,
  config: BgpSettings,
  host: BgpSurroundings,
  warnings: string[],
): readonly PeerConfig[] {
  const address = parseIp(peer.address);
  if (address === undefined) return [];
  const family = familyOf(address);
  const source = parseIp(config.bgpSourceIp);
  const hops = otherNextHop(peer, family, config, host);
  if ('problem' in hops)
    warnings.push(`peer ${address}: ${hops.problem}; speaking plain BGP of one family with it`);
  const both = !('problem' in hops) && (hops.ipv4 !== undefined || hops.ipv6 !== undefined);
  const isExternal = peer.as !== config.bgpAs;
  return [
    {
      address,
      port: peer.port,
      as: peer.as,
      password: peer.password,
      // RFC 4271 leaves it open; routers send, and expect, 1 from a neighbour in another AS.
      ttl: peer.multiHop ? MULTIHOP_TTL : isExternal ? 1 : undefined,
      localAddress: source !== undefined && familyOf(source) === family ? source : undefined,
      device: config.bgpSourceIf === '' ? undefined : config.bgpSourceIf,
      families: both ? [family, family === 4 ? 6 : 4] : [family],
      nextHops: 'problem' in hops ? {} : hops,
      ...planBfd(peer, warnings),
    },
  ];
}

/** 0 stands for the default, as if the field were not there; intervals that cannot be kept are brought into range. */
function planBfd({ address, bfd, multiHop }: PeerSetting, warnings: string[]): Pick<PeerConfig, 'bfd'> {
  if (!bfd.enabled) return {};
  const { least, most } = BFD_INTERVALS;
  const kept = (name: string, ms: number): number => {
    const value = Math.min(most, Math.max(least, ms || 300));
    if (ms !== 0 && value !== ms)
      warnings.push(`peer ${address}: a BFD ${name} interval of ${ms} ms is not possible, using ${value} ms`);
    return value;
  };
  const [rxMs, txMs] = [kept('receive', bfd.rxMs), kept('transmit', bfd.txMs)];
  if (Math.max(rxMs, txMs) >= 10_000)
    warnings.push(`peer ${address}: BFD intervals are milliseconds; ${rxMs};${txMs} are many seconds`);
  return { bfd: { isMultihop: multiHop, rxMs, txMs, multiplier: bfd.multiplier || 3 } };
}

type NextHops = PeerConfig['nextHops'] | { readonly problem: string };

/** The next hop for routes of the family that the session itself is not of (`mpbgp_nexthop`). */
function otherNextHop(
  peer: PeerSetting,
  family: Family,
  config: BgpSettings,
  host: BgpSurroundings,
): NextHops {
  const mode = peer.mpbgpNexthop === '' ? config.mpbgpNexthop : peer.mpbgpNexthop;
  const other = family === 4 ? 6 : 4;
  const as = (hop: Ip): NextHops => (other === 4 ? { ipv4: hop } : { ipv6: hop });
  switch (mode) {
    case '':
      return {};
    case 'fixed': {
      const [own, common] =
        other === 4 ? [peer.mpbgpIpv4, config.mpbgpIpv4] : [peer.mpbgpIpv6, config.mpbgpIpv6];
      const text = own === '' ? common : own;
      const hop = parseIp(text);
      if (hop === undefined || familyOf(hop) !== other)
        return { problem: `mpbgp_nexthop=fixed, but mpbgp_ipv${other} is no IPv${other} address` };
      return as(hop);
    }
    case 'auto_sourceip': {
      const index = host.addresses.find(({ address }) => address === config.bgpSourceIp)?.ifindex;
      const link = host.links.find((each) => each.index === index)?.name;
      const hop = link === undefined ? undefined : addressesOf(host, link, other)[0];
      if (hop === undefined)
        return { problem: `no IPv${other} address on the link of bgp_sourceip=${config.bgpSourceIp}` };
      return as(hop);
    }
    case 'auto_sourceif': {
      const hops = ([4, 6] as const).map((each) => addressesOf(host, config.bgpSourceIf, each)[0]);
      const hop = hops[other === 4 ? 0 : 1];
      if (hop === undefined || hops.includes(undefined))
        return { problem: `bgp_sourceif=${config.bgpSourceIf} has not an address of each family` };
      return as(hop);
    }
    default:
      return { problem: `mpbgp_nexthop=${mode} is not supported` };
  }
}
