import type { Clock, Timer } from '../../lib/clock.ts';
import { DecodeError, messageOf } from '../../lib/errors.ts';
import { familyOf, ipToBytes, ipv4ToNumber, type Ip, type Mac } from '../../lib/ip.ts';
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
import { arpFilter, ndpFilter, rangesOf } from './filter.ts';

export interface ClaimantWatchParts {
  readonly kernel: Pick<Kernel, 'openPacketSocket'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: NodeObserver;
  readonly observed: Observed;
  readonly counters: MutableCounters;
  /** The VIPs announced on this link, or about to be. */
  readonly wantedOn: (link: string) => readonly Ip[];
  /** How many those are. */
  readonly countOn: (link: string) => number;
  readonly isActive: (link: string, vip: Ip) => boolean;
  /** VIPs wait for their turn to be put on their link. */
  readonly isBusy: () => boolean;
}

/** One socket on a link, for as long as VIPs of its family are announced there. */
interface Ear {
  readonly socket: PacketSocket;
  /** What it was opened for; another place needs another socket. */
  readonly place: string;
  /** What its filter was made of. */
  ranges: string;
}

interface Seen {
  readonly vip: Ip;
  readonly on: string;
  mac: Mac;
  reportedAt: number;
  loggedAt: number;
  folded: number;
}

/** Up to here a filter is made in no time, and at once. */
const few = 16;
/** Many VIPs come and go together: one filter is made for all of them. */
const settleMs = 50;
/** More are about to come: they are waited for, this long at most. */
const maxWaitMs = 1000;
/** With very many VIPs making filters takes a tenth of the time at most. */
const settlePerCost = 10;
/** A VIP's claimants are reported at most this often, whatever arrives. */
const reportEveryMs = 1000;
const logEveryMs = 60_000;

/**
 * Listens on each link that VIPs are announced on, from before they are, for others who claim one of them: ARP from a VIP
 * as sender, neighbour advertisements and duplicate address probes for one, from a MAC that is not
 * of this node. The kernel filters, roughly where VIPs are many and far apart; what waits to be read is
 * bounded by the socket's buffer.
 */
export class ClaimantWatch {
  private readonly parts: ClaimantWatchParts;
  /** By link and family. */
  private readonly ears = new Map<string, Ear>();
  private readonly seen = new Map<string, Seen>();
  private readonly dirty = new Set<string>();
  /** The last 32 bits of each VIP, which a filter compares. */
  private readonly words = new Map<Ip, number>();
  private timer: Timer | undefined;
  private dirtySince = 0;
  private lastCostMs = 0;
  private complaint: string | undefined;

  constructor(parts: ClaimantWatchParts) {
    this.parts = parts;
  }

  /** These VIPs are about to come to this link, too. The first ones find somebody who listens, and so do a few. */
  expect(link: string, vips: readonly Ip[]): void {
    const isUnheard = (vip: Ip): boolean => !this.ears.has(`${link} ${familyOf(vip)}`);
    if (this.parts.countOn(link) <= few || vips.some(isUnheard)) this.listen(link);
    else this.changed(link);
  }

  /** VIPs on this link, or the link itself, have changed. */
  changed(link: string): void {
    if (this.dirty.size === 0) this.dirtySince = this.parts.clock.now();
    this.dirty.add(link);
    this.arm(Math.max(settleMs, settlePerCost * this.lastCostMs));
  }

  private arm(ms: number): void {
    const { clock, isBusy } = this.parts;
    this.timer ??= clock.after('claimant-watch', ms, () => {
      this.timer = undefined;
      const start = clock.now();
      if (isBusy() && start < this.dirtySince + maxWaitMs) {
        this.arm(settleMs);
        return;
      }
      const links = [...this.dirty];
      this.dirty.clear();
      for (const name of links) this.listen(name);
      this.lastCostMs = clock.now() - start;
    });
  }

  close(): void {
    this.timer?.cancel();
    for (const key of [...this.ears.keys()]) this.silence(key);
  }

  private listen(name: string): void {
    const vips = this.parts.wantedOn(name);
    this.forget(name);
    if (this.words.size > 2 * vips.length + 1000) this.words.clear();
    const link = this.parts.observed.linkNamed(name);
    try {
      for (const family of [4, 6] as const) {
        this.listenFor(
          name,
          link,
          family,
          vips.filter((vip) => familyOf(vip) === family),
        );
      }
      this.complaint = undefined;
    } catch (error) {
      if (!isKernelError(error)) throw error;
      this.complain(name, messageOf(error));
    }
  }

  private listenFor(name: string, link: Link | undefined, family: 4 | 6, vips: readonly Ip[]): void {
    const key = `${name} ${family}`;
    if (link === undefined || vips.length === 0) {
      this.silence(key);
      return;
    }
    const type = hardwareTypeOf(link);
    const ranges = rangesOf(Uint32Array.from(vips, (vip) => this.wordOf(vip)));
    const text = ranges.join(' ');
    const place = `${link.index} ${link.hardwareType}`;
    const ear = this.ears.get(key);
    if (ear?.place === place && ear.ranges === text) return;
    const filter = family === 4 ? arpFilter(type, ranges) : ndpFilter(type, ranges);
    if (ear?.place === place) {
      ear.socket.setFilter(filter);
      ear.ranges = text;
      return;
    }
    const socket = this.parts.kernel.openPacketSocket({
      ifindex: link.index,
      etherType: family === 4 ? ETHERTYPE_ARP : ETHERTYPE_IPV6,
      filter,
      onFrame: (frame) => this.heard(name, frame, family),
    });
    this.silence(key);
    this.ears.set(key, { socket, place, ranges: text });
  }

  private silence(key: string): void {
    this.ears.get(key)?.socket.close();
    this.ears.delete(key);
  }

  private wordOf(vip: Ip): number {
    const known = this.words.get(vip);
    if (known !== undefined) return known;
    const word = lastWord(vip);
    this.words.set(vip, word);
    return word;
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

function lastWord(vip: Ip): number {
  if (familyOf(vip) === 4) return ipv4ToNumber(vip);
  const bytes = ipToBytes(vip);
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4).getUint32(0);
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
