import { familyOf, isLinkLocal, type Ip, type Mac } from '../../lib/ip.ts';
import type { Link } from '../../linux/types.ts';
import {
  encodeGratuitousArp,
  encodeUnsolicitedAdvertisement,
  ETHERNET,
  hardwareAddressLength,
  INFINIBAND,
  readdressGratuitousArp,
  type GratuitousForm,
  type HardwareType,
  type LinkAddressing,
} from '../../protocols/index.ts';
import type { Observed } from '../observed.ts';

/** Types other than InfiniBand are spoken to as Ethernet, as bonds, bridges and tap devices call themselves. */
export function hardwareTypeOf(link: Link): HardwareType {
  return link.hardwareType === INFINIBAND ? INFINIBAND : ETHERNET;
}

/** What has to be known before a VIP can be announced on a link. */
export interface FrameContext {
  readonly vip: Ip;
  readonly link: Link;
  /** The link-local source of advertisements; undefined for IPv4. */
  readonly source: Ip | undefined;
}

export type Obstacle =
  | { readonly kind: 'wait'; readonly reason: string }
  /** As `wait`, for something that may not come by itself. */
  | { readonly kind: 'sourceless'; readonly reason: string }
  /** Never possible, whatever happens on this node. */
  | { readonly kind: 'impossible'; readonly reason: string };

/** Why the VIP cannot be announced on the link of this name now, or what to build its frames from. */
export function frameContext(observed: Observed, vip: Ip, linkName: string): FrameContext | Obstacle {
  const isIpv6 = familyOf(vip) === 6;
  if (isIpv6 && isLinkLocal(vip)) {
    return { kind: 'impossible', reason: 'a link-local address cannot be a VIP that is announced' };
  }
  const link = observed.linkNamed(linkName);
  if (link === undefined) return wait(`no link ${linkName}`);
  if (!link.adminUp) return wait(`link ${linkName} is down`);
  if (!link.carrier) return wait(`link ${linkName} has no carrier`);
  if (!isWhole(link, link.mac)) {
    return wait(`link ${linkName} has no hardware address`);
  }
  if (!observed.isUsable(vip)) return wait('the address is not usable yet');
  if (!isIpv6) return { vip, link, source: undefined };
  const source = observed.linkLocalOn(link.index);
  if (source !== undefined) return { vip, link, source };
  const duplicate = observed.linkLocalsOn(link.index).find(({ dadFailed }) => dadFailed)?.address;
  const reason =
    duplicate === undefined
      ? `link ${linkName} has no link-local address`
      : `another machine has the link-local address ${duplicate} of link ${linkName}, too`;
  return { kind: 'sourceless', reason };
}

function wait(reason: string): Obstacle {
  return { kind: 'wait', reason };
}

/** The advertisement of one VIP, good for as long as link and source stay the same. */
export interface KeptAdvertisement {
  readonly link: Link;
  readonly source: Ip;
  readonly frame: Uint8Array;
}

/** The frames that announce VIPs. */
export class Frames {
  /** A gratuitous ARP in each form, of the VIP that was last: those of other VIPs on that link differ in a few bytes. */
  private readonly arp = new WeakMap<Link, Map<GratuitousForm, Uint8Array>>();

  /** To be sent at once, and not kept: the next one may be made of it. `entry` keeps what took long to make. */
  get(
    entry: { advertisement: KeptAdvertisement | undefined },
    { vip, link, source }: FrameContext,
    form: GratuitousForm,
  ): Uint8Array {
    if (source === undefined) return this.gratuitousArp(vip, link, form);
    const kept = entry.advertisement;
    if (kept?.link === link && kept.source === source) return kept.frame;
    const frame = encodeUnsolicitedAdvertisement(addressingOf(link), source, vip);
    entry.advertisement = { link, source, frame };
    return frame;
  }

  private gratuitousArp(vip: Ip, link: Link, form: GratuitousForm): Uint8Array {
    const known = this.arp.get(link);
    const patterns = known ?? new Map<GratuitousForm, Uint8Array>();
    if (known === undefined) this.arp.set(link, patterns);
    const pattern = patterns.get(form);
    if (pattern !== undefined) {
      readdressGratuitousArp(pattern, hardwareTypeOf(link), vip);
      return pattern;
    }
    const frame = encodeGratuitousArp(addressingOf(link), vip, form);
    patterns.set(form, frame);
    return frame;
  }
}

function addressingOf(link: Link): LinkAddressing {
  return { hardwareType: hardwareTypeOf(link), mac: link.mac, broadcast: broadcastOf(link) };
}

/** A point-to-point device that is spoken to as Ethernet may have none. */
function broadcastOf(link: Link): Mac {
  return isWhole(link, link.broadcast) ? link.broadcast : ('ff:ff:ff:ff:ff:ff' as Mac);
}

/** As long as the link's type wants it: two digits a byte, with colons between. */
function isWhole(link: Link, mac: Mac): boolean {
  return mac.length === 3 * hardwareAddressLength(hardwareTypeOf(link)) - 1;
}
