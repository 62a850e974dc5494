import { familyOf, isLinkLocal, type Ip, type Mac } from '../../lib/ip.ts';
import type { Link } from '../../linux/types.ts';
import {
  encodeGratuitousArp,
  encodeUnsolicitedAdvertisement,
  ETHERNET,
  hardwareAddressLength,
  INFINIBAND,
  type GratuitousForm,
  type HardwareType,
} from '../../protocols/index.ts';
import type { Observed } from '../observed.ts';

/** Types other than InfiniBand are spoken to as Ethernet, as bonds, bridges and tap devices call themselves. */
export function hardwareTypeOf(link: Link): HardwareType {
  return link.hardwareType === INFINIBAND ? INFINIBAND : ETHERNET;
}

/** What has to be known before a VIP can be announced on a link; frames built from it may be kept. */
export interface FrameContext {
  readonly vip: Ip;
  readonly link: Link;
  /** The link-local source of advertisements; undefined for IPv4. */
  readonly source: Ip | undefined;
}

export type Obstacle =
  | { readonly kind: 'wait'; readonly reason: string }
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
  return source === undefined ? wait(`link ${linkName} has no link-local address`) : { vip, link, source };
}

function wait(reason: string): Obstacle {
  return { kind: 'wait', reason };
}

/** Frames of one VIP, built once for as long as the context stays the same. */
export class Frames {
  private context: FrameContext | undefined;
  private readonly built = new Map<GratuitousForm, Uint8Array>();

  get(context: FrameContext, form: GratuitousForm): Uint8Array {
    const known = this.context;
    if (known?.link !== context.link || known.source !== context.source) {
      this.context = context;
      this.built.clear();
    }
    const ready = this.built.get(form);
    if (ready !== undefined) return ready;
    const frame = build(context, form);
    this.built.set(form, frame);
    return frame;
  }
}

function build({ vip, link, source }: FrameContext, form: GratuitousForm): Uint8Array {
  const addressing = { hardwareType: hardwareTypeOf(link), mac: link.mac, broadcast: broadcastOf(link) };
  if (source !== undefined) return encodeUnsolicitedAdvertisement(addressing, source, vip);
  return encodeGratuitousArp(addressing, vip, form);
}

/** A point-to-point device that is spoken to as Ethernet may have none. */
function broadcastOf(link: Link): Mac {
  return isWhole(link, link.broadcast) ? link.broadcast : ('ff:ff:ff:ff:ff:ff' as Mac);
}

/** As long as the link's type wants it: two digits a byte, with colons between. */
function isWhole(link: Link, mac: Mac): boolean {
  return mac.length === 3 * hardwareAddressLength(hardwareTypeOf(link)) - 1;
}
