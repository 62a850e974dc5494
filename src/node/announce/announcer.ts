import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Ip } from '../../lib/ip.ts';
import type { Logger } from '../../lib/log.ts';
import { isKernelError } from '../../linux/errors.ts';
import type { Kernel, Link } from '../../linux/types.ts';
import {
  isRefreshing,
  startAnnouncing,
  stepAnnouncement,
  type GratuitousForm,
} from '../../protocols/index.ts';
import type { MutableCounters } from '../counters.ts';
import type { Observed } from '../observed.ts';
import type { Keyed, SpecBook } from '../spec-book.ts';
import type { AnnouncementSpec, NodeObserver } from '../types.ts';
import { DueQueue, type Due } from './due-queue.ts';
import { Firsts } from './firsts.ts';
import { Announcements, type Announcement } from './announcements.ts';
import { frameContext, Frames, type FrameContext } from './frames.ts';
import { SendSockets } from './sockets.ts';
import { Sourceless } from './sourceless.ts';

export interface AnnouncerParts {
  readonly kernel: Pick<Kernel, 'openPacketSocket'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: NodeObserver;
  readonly observed: Observed;
  readonly book: SpecBook;
  readonly counters: MutableCounters;
  /** What is announced on this link, or the link itself, has changed. */
  readonly onActive: (link: string) => void;
  /** These VIPs, too, are about to be announced on this link. */
  readonly onWanted: (link: string, vips: readonly Ip[]) => void;
}

/** A turn sends for this long at most; what is due beyond it follows in the next one. */
const turnMs = 5;
/** Announcements between two looks at the clock. */
const chunk = 16;
/**
 * A refresh may be this much of its period too early, to leave in the same turn as others: of a thousand a frame costs
 * 10 µs where 167 leave together, and 20 µs where 42 do, on processors that have seen others meanwhile. Those that leave
 * together do so each time, so that from one frame of a VIP to the next it is a period. Bursts are never early.
 */
const slackOfPeriod = 1 / 6;
/** So many leave together at most, unless they are due: the network should not get all of ten thousand at once. */
const company = 200;
/** Place in the queue of what never waits for others. */
const atOnce = -Infinity;
/** Successive VIPs get phases that fill the interval evenly, however many there are (golden ratio). */
const phaseStep = 0.6180339887498949;

/**
 * Announces VIPs: a burst as soon as one is usable here, then a refresh each period, all from one
 * timer. The fence is asked before every single frame.
 */
export class Announcer {
  readonly announcements = new Announcements();
  private readonly parts: AnnouncerParts;
  private readonly sockets: SendSockets;
  private readonly frames = new Frames();
  private readonly due = new DueQueue<Announcement>();
  /** The place of whoever has its turn now: it is good for its next one. */
  private vacant: Due<Announcement> | undefined;
  private timer: Timer | undefined;
  private isClosed = false;
  private entered = 0;
  private readonly firsts = new Firsts();
  private readonly sourceless: Sourceless;

  constructor(parts: AnnouncerParts) {
    this.parts = parts;
    this.sockets = new SendSockets(parts.kernel);
    this.sourceless = new Sourceless({ ...parts, announcements: this.announcements });
  }

  /** What these specs name has changed owners; nobody's any more is silent on return. New ones wait for `kick`. */
  specsChanged(changed: readonly Keyed<AnnouncementSpec>[]): void {
    const entered = new Map<string, Ip[]>();
    for (const { key, spec } of changed) {
      const wanted = this.parts.book.announcement(key);
      const entry = this.announcements.get(key);
      if (wanted === undefined) {
        if (entry !== undefined) this.drop(entry);
        continue;
      }
      if (entry === undefined) {
        const phase = (this.entered++ * phaseStep) % 1;
        this.announcements.enter(key, { spec, wanted, phase });
        const beside = entered.get(spec.link);
        if (beside === undefined) entered.set(spec.link, [spec.vip]);
        else beside.push(spec.vip);
        continue;
      }
      entry.wanted = wanted;
      entry.spec = spec;
      // It was silenced by a fence, or could not be sent: the new spec may change that at once.
      if (entry.last?.what !== 'sent') this.rest(entry);
    }
    for (const [link, vips] of entered) this.parts.onWanted(link, vips);
  }

  /** Starts those of these keys that can start and have not. */
  kick(changed: readonly Keyed<AnnouncementSpec>[]): void {
    for (const { key } of changed) {
      const entry = this.announcements.get(key);
      if (entry !== undefined) this.consider(entry);
    }
    this.arm();
  }

  /** The VIP is usable (again): a new burst, beginning now. */
  usable(vip: Ip): void {
    this.announcements.ofVip(vip).forEach((entry) => this.begin(entry));
    this.arm();
  }

  /** An address with this number came or went, or a link-local one on this link. */
  addressChanged(vip: Ip, linkName: string | undefined): void {
    for (const entry of this.announcements.ofVip(vip)) this.consider(entry);
    if (linkName !== undefined && vip.startsWith('fe')) {
      for (const entry of this.announcements.ofLink(linkName)) this.consider(entry);
    }
    this.arm();
  }

  /** A link changed, came or went; `before` undefined when it is new. */
  linkChanged(before: Link | undefined, after: Link | undefined): void {
    if (before !== undefined && (after === undefined || after.mac !== before.mac)) {
      this.sockets.close(before.index);
    }
    const isNewPlace = after !== undefined && isRunning(after) && !isSamePlace(before, after);
    for (const name of new Set([before?.name, after?.name])) {
      if (name === undefined) continue;
      for (const entry of this.announcements.ofLink(name)) {
        // Neighbours behind this link may have forgotten us, or remember another MAC.
        if (isNewPlace && name === after.name) this.rest(entry);
        this.enqueue(entry, atOnce);
      }
      this.parts.onActive(name);
    }
    this.pump();
  }

  /** A new dump is in. */
  recheckAll(): void {
    for (const entry of this.announcements.all())
      if (entry.schedule === undefined) this.enqueue(entry, atOnce);
    this.pump();
  }

  /** The VIPs that are announced on this link, or will be as soon as they can. */
  wantedOn(link: string): readonly Ip[] {
    return this.announcements.ofLink(link).map(({ vip }) => vip);
  }

  /** Not when its tenure is over: of very many VIPs some are still there when the next holder is heard. */
  isActive(link: string, vip: Ip): boolean {
    return this.announcements
      .ofVip(vip)
      .some((entry) => entry.link === link && entry.schedule !== undefined && entry.wanted.maySend());
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
    this.sourceless.close();
    this.due.clear();
    this.sockets.closeAll();
  }

  /** Starts a resting announcement, or lays an active one to rest, as things are now. */
  private consider(entry: Announcement): void {
    const context = this.look(entry);
    if (context !== undefined && entry.schedule === undefined) this.begin(entry);
  }

  private look(entry: Announcement): FrameContext | undefined {
    const { observed } = this.parts;
    if (entry.generation === observed.generation && entry.context !== undefined) return entry.context;
    const context = frameContext(observed, entry.vip, entry.link);
    entry.generation = observed.generation;
    entry.context = 'kind' in context ? undefined : context;
    if (!('kind' in context)) {
      if (entry.obstacle?.kind === 'sourceless') this.sourceless.found(entry.link);
      entry.obstacle = undefined;
      return context;
    }
    this.rest(entry);
    if (context.kind === 'impossible' && entry.obstacle?.reason !== context.reason) {
      this.parts.log.error('VIP cannot be announced', { ...naming(entry), reason: context.reason });
    }
    entry.obstacle = context;
    if (context.kind === 'sourceless') this.sourceless.waits(entry.link);
    return undefined;
  }

  private begin(entry: Announcement): void {
    const now = this.parts.clock.now();
    entry.schedule = startAnnouncing(now);
    if (this.fire(entry, now, now, this.firsts.note(now))) this.parts.onActive(entry.link);
  }

  private rest(entry: Announcement): void {
    if (entry.schedule === undefined) return;
    entry.schedule = undefined;
    this.parts.onActive(entry.link);
  }

  private drop(entry: Announcement): void {
    this.rest(entry);
    this.announcements.leave(entry);
    entry.place = undefined;
    this.parts.onActive(entry.link);
    if (this.announcements.countOn(entry.link) > 0) return;
    this.sourceless.forget(entry.link);
    const link = this.parts.observed.linkNamed(entry.link);
    if (link !== undefined) this.sockets.close(link.index);
  }

  /**
   * Sends what is due for one VIP and plans its next turn, from when this one was due; false when it had to be laid to
   * rest.
   */
  private fire(entry: Announcement, now: number, due: number, isInCrowd = false): boolean {
    const { schedule } = entry;
    const context = this.look(entry);
    if (context === undefined || schedule === undefined) return false;
    const { periodMs } = entry.wanted;
    const step = stepAnnouncement(schedule, due, { periodMs, phase: entry.phase });
    entry.schedule = step.state;
    this.enqueue(entry, step.state.nextAt);
    // An advertisement, the one with a source, has one form only.
    const isOneEnough = isInCrowd || context.source !== undefined;
    for (const form of step.forms) {
      this.send(entry, context, form, now);
      if (isOneEnough) break;
    }
    return true;
  }

  private send(entry: Announcement, context: FrameContext, form: GratuitousForm, now: number): void {
    if (!entry.wanted.maySend()) {
      this.parts.counters.framesWithheld++;
      this.told(entry, 'withheld', now);
      return;
    }
    try {
      this.sockets.send(context.link, this.frames.get(entry, context, form));
    } catch (error) {
      if (!isKernelError(error)) throw error;
      this.parts.counters.framesFailed++;
      this.complain(entry, messageOf(error));
      this.told(entry, 'failed', now);
      return;
    }
    this.parts.counters.framesSent++;
    entry.sent ??= this.parts.observer.framesSent?.(entry.vip, entry.link) ?? { value: 0 };
    entry.sent.value++;
    if (entry.complaint !== undefined) this.parts.log.info('VIP is announced again', naming(entry));
    entry.complaint = undefined;
    // As a rule the last one was sent, too: nothing is made that would have to be collected.
    if (entry.last?.what === 'sent') entry.last.at = now;
    else entry.last = { what: 'sent', at: now };
  }

  private told(entry: Announcement, what: 'failed' | 'withheld', at: number): void {
    entry.last = { what, at };
    this.parts.observer.notAnnounced?.(entry.vip, entry.link, what);
  }

  private complain(entry: Announcement, reason: string): void {
    if (entry.complaint === reason) return;
    entry.complaint = reason;
    this.parts.log.warn('VIP could not be announced, trying again at its next turn', {
      ...naming(entry),
      error: reason,
    });
  }

  private enqueue(entry: Announcement, at: number): void {
    const { vacant } = this;
    this.vacant = undefined;
    entry.place = vacant?.item === entry ? this.due.pushAgain(vacant, at) : this.due.push(at, entry);
  }

  /** Handles what is due, up to the end of this turn, and what may leave with it. */
  private pump(): void {
    const { clock } = this.parts;
    const now = clock.now();
    const horizon = this.firsts.horizon(now);
    let n = 0;
    const isTurn = (place: Due<Announcement>): boolean =>
      place.at <= now || (n < company && mayBeEarly(place.item, place.at - now));
    for (;;) {
      const next = this.due.popDue(horizon, isTurn);
      if (next === undefined) break;
      const { item: entry, at } = next;
      // Planned anew, or dropped, since it was put here.
      if (entry.place !== next) continue;
      n++;
      this.vacant = next;
      entry.place = undefined;
      if (entry.schedule === undefined) this.consider(entry);
      // What leaves early counts as on time, so that its rate stays what it is.
      else this.fire(entry, now, Math.max(now, at));
      if (n % chunk === 0 && clock.now() > now + turnMs) break;
    }
    this.arm();
  }

  private arm(): void {
    const { earliest } = this.due;
    if (earliest === undefined || this.isClosed) return;
    const at = this.firsts.wakeAt(earliest);
    if (this.timer !== undefined && this.timer.at <= at) return;
    this.timer?.cancel();
    this.timer = this.parts.clock.after('announce', Math.max(0, at - this.parts.clock.now()), () => {
      this.timer = undefined;
      this.pump();
    });
  }
}

function isRunning(link: Link): boolean {
  return link.adminUp && link.carrier;
}

function mayBeEarly({ schedule, wanted }: Announcement, byMs: number): boolean {
  return schedule !== undefined && isRefreshing(schedule) && byMs <= wanted.periodMs * slackOfPeriod;
}

function isSamePlace(before: Link | undefined, after: Link): boolean {
  return (
    before !== undefined && isRunning(before) && before.index === after.index && before.mac === after.mac
  );
}

function naming(entry: Announcement): { readonly vip: Ip; readonly link: string } {
  return { vip: entry.vip, link: entry.link };
}
