import type { Clock, Timer } from '../../lib/clock.ts';
import { DecodeError, messageOf } from '../../lib/errors.ts';
import { familyOf, type Ip, type Mac } from '../../lib/ip.ts';
import type { Logger } from '../../lib/log.ts';
import { isKernelError } from '../../linux/errors.ts';
import type { Kernel, Link, PacketSocket } from '../../linux/types.ts';
import {
  decodeArpFrame,
  decodeNdpFrame,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV6,
  isDuplicateAddressProbe,
} from '../../protocols/index.ts';
import { hardwareTypeOf } from '../announce/frames.ts';
import type { MutableCounters } from '../counters.ts';
import type { Observed } from '../observed.ts';
import type { NodeObserver } from '../types.ts';
import { arpFilter, maxListed, ndpFilter, type Instruction } from './filter.ts';

export interface ClaimantWatchParts {
  readonly kernel: Pick<Kernel, 'openPacketSocket'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: NodeObserver;
  readonly observed: Observed;
  readonly counters: MutableCounters;
  /** The VIPs announced on this link right now. */
  readonly activeOn: (link: string) => readonly Ip[];
  readonly isActive: (link: string, vip: Ip) => boolean;
}

interface Ear {
  /** What the sockets were opened for; another one needs other sockets. */
  readonly signature: string;
  readonly sockets: readonly PacketSocket[];
}

interface Seen {
  readonly vip: Ip;
  readonly on: string;
  mac: Mac;
  reportedAt: number;
  loggedAt: number;
  folded: number;
}

/** Many VIPs come and go together: sockets are opened once for all of them. */
const settleMs = 50;
/** A VIP's claimants are reported at most this often, whatever arrives. */
const reportEveryMs = 1000;
const logEveryMs = 60_000;

/**
 * Listens on each link that VIPs are announced on for others who claim one of them: ARP from a VIP
 * as sender, neighbour advertisements and duplicate address probes for one, from a MAC that is not
 * of this node. The kernel filters; what waits to be read is bounded by the socket's buffer.
 */
export class ClaimantWatch {
  private readonly parts: ClaimantWatchParts;
  private readonly ears = new Map<string, Ear>();
  private readonly seen = new Map<string, Seen>();
  private readonly dirty = new Set<string>();
  private timer: Timer | undefined;
  private complaint: string | undefined;

  constructor(parts: ClaimantWatchParts) {
    this.parts = parts;
  }

  /** VIPs on this link, or the link itself, have changed. */
  changed(link: string): void {
    this.dirty.add(link);
    this.timer ??= this.parts.clock.after('claimant-watch', settleMs, () => {
      this.timer = undefined;
      const links = [...this.dirty];
      this.dirty.clear();
      for (const name of links) this.listen(name);
    });
  }

  close(): void {
    this.timer?.cancel();
    for (const name of [...this.ears.keys()]) this.silence(name);
  }

  private listen(name: string): void {
    const link = this.parts.observed.linkNamed(name);
    const vips = this.parts.activeOn(name);
    this.forget(name);
    if (link === undefined || vips.length === 0) {
      this.silence(name);
      return;
    }
    const four = vips.filter((vip) => familyOf(vip) === 4);
    const six = vips.filter((vip) => familyOf(vip) === 6);
    const signature = `${link.index} ${link.hardwareType} ${listOf(four)} ${listOf(six)}`;
    if (this.ears.get(name)?.signature === signature) return;
    // The new sockets listen before the old ones close, so that nothing is missed in between.
    const sockets = this.open(link, four, six);
    this.silence(name);
    this.ears.set(name, { signature, sockets });
  }

  private open(link: Link, four: readonly Ip[], six: readonly Ip[]): readonly PacketSocket[] {
    const type = hardwareTypeOf(link);
    const sockets: PacketSocket[] = [];
    const listen = (etherType: number, family: 4 | 6, filter: readonly Instruction[]): void => {
      const onFrame = (frame: Uint8Array): void => this.heard(link.name, frame, family);
      sockets.push(this.parts.kernel.openPacketSocket({ ifindex: link.index, etherType, filter, onFrame }));
    };
    try {
      if (four.length > 0) listen(ETHERTYPE_ARP, 4, arpFilter(type, four));
      if (six.length > 0) listen(ETHERTYPE_IPV6, 6, ndpFilter(type, six));
      this.complaint = undefined;
    } catch (error) {
      if (!isKernelError(error)) throw error;
      this.complain(link.name, messageOf(error));
    }
    return sockets;
  }

  private silence(name: string): void {
    for (const socket of this.ears.get(name)?.sockets ?? []) socket.close();
    this.ears.delete(name);
  }

  /** A VIP that comes back another day has no history. */
  private forget(link: string): void {
    for (const [key, { vip, on }] of this.seen) {
      if (on === link && !this.parts.isActive(link, vip)) this.seen.delete(key);
    }
  }

  private heard(linkName: string, frame: Uint8Array, family: 4 | 6): void {
    const link = this.parts.observed.linkNamed(linkName);
    if (link === undefined) return;
    let claim: Claim | undefined;
    try {
      claim = family === 4 ? arpClaim(frame, link) : ndpClaim(frame, link);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.parts.counters.framesRefused++;
      return;
    }
    if (claim === undefined || this.parts.observed.isOwnMac(claim.mac)) return;
    if (!this.parts.isActive(linkName, claim.vip)) return;
    this.report(claim.vip, linkName, claim.mac);
  }

  private report(vip: Ip, link: string, mac: Mac): void {
    const { clock, counters, observer } = this.parts;
    const now = clock.now();
    const key = `${link} ${vip}`;
    const seen = this.seen.get(key) ?? newSeen(vip, link, mac);
    this.seen.set(key, seen);
    if (now - seen.reportedAt < reportEveryMs) {
      seen.folded++;
      counters.claimantsFolded++;
      return;
    }
    if (seen.mac !== mac || now - seen.loggedAt >= logEveryMs) {
      const folded = seen.folded === 0 ? {} : { folded: seen.folded };
      this.parts.log.error('another host claims a VIP that this node holds', { vip, link, mac, ...folded });
      seen.loggedAt = now;
      seen.folded = 0;
    }
    seen.mac = mac;
    seen.reportedAt = now;
    counters.claimantsReported++;
    observer.secondClaimant?.(vip, link, mac);
  }

  private complain(link: string, error: string): void {
    if (this.complaint === error) return;
    this.complaint = error;
    this.parts.log.warn('cannot listen for others who claim a VIP', { link, error });
  }
}

/** What a filter for these VIPs depends on. */
function listOf(vips: readonly Ip[]): string {
  return vips.length > maxListed ? 'many' : [...vips].sort().join(',');
}

function newSeen(vip: Ip, on: string, mac: Mac): Seen {
  return { vip, on, mac, reportedAt: -Infinity, loggedAt: -Infinity, folded: 0 };
}

interface Claim {
  readonly vip: Ip;
  readonly mac: Mac;
}

function arpClaim(frame: Uint8Array, link: Link): Claim {
  const { packet } = decodeArpFrame(frame, hardwareTypeOf(link));
  return { vip: packet.senderIp, mac: packet.senderMac };
}

function ndpClaim(bytes: Uint8Array, link: Link): Claim | undefined {
  const frame = decodeNdpFrame(bytes, hardwareTypeOf(link));
  const { message, header } = frame;
  if (message.kind === 'solicitation' && !isDuplicateAddressProbe(frame)) return undefined;
  const mac = message.kind === 'advertisement' ? (message.targetMac ?? header.source) : header.source;
  return mac === undefined ? undefined : { vip: message.target, mac };
}
