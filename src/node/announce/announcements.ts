import { append } from '../../lib/append.ts';
import type { Ip } from '../../lib/ip.ts';
import type { AnnounceState } from '../../protocols/index.ts';
import type { SpecKey, WantedAnnouncement } from '../spec-book.ts';
import type { AnnouncementSpec, LastAction, Tally } from '../types.ts';
import type { Due } from './due-queue.ts';
import type { FrameContext, KeptAdvertisement, Obstacle } from './frames.ts';

/** One VIP that is to be announced on one link. */
export interface Announcement {
  readonly key: SpecKey;
  readonly vip: Ip;
  readonly link: string;
  readonly phase: number;
  spec: AnnouncementSpec;
  wanted: WantedAnnouncement;
  /** Undefined while it rests: something has to happen first. */
  schedule: AnnounceState | undefined;
  /** What its frames are built from, as it was in this generation of what is observed. */
  context: FrameContext | undefined;
  generation: number;
  /** Why it rests. */
  obstacle: Obstacle | undefined;
  /** The error that was logged and not yet followed by a success. */
  complaint: string | undefined;
  last: { -readonly [K in keyof LastAction]: LastAction[K] } | undefined;
  /** Where its frames are counted; undefined before the first one. */
  sent: Tally | undefined;
  advertisement: KeptAdvertisement | undefined;
  /** Its valid place in the queue; places that it had before stay there until they fall due. */
  place: Due<Announcement> | undefined;
}

const none: readonly Announcement[] = [];

/** Announcements by key, by VIP and by link name. */
export class Announcements {
  private readonly byKey = new Map<SpecKey, Announcement>();
  /** Hardly ever more than one for each: a list is smaller than a set. */
  private readonly byVip = new Map<Ip, readonly Announcement[]>();
  private readonly byLink = new Map<string, Set<Announcement>>();

  get(key: SpecKey): Announcement | undefined {
    return this.byKey.get(key);
  }

  all(): readonly Announcement[] {
    return [...this.byKey.values()];
  }

  ofVip(vip: Ip): readonly Announcement[] {
    return this.byVip.get(vip) ?? none;
  }

  ofLink(name: string): readonly Announcement[] {
    return [...(this.byLink.get(name) ?? [])];
  }

  links(): readonly string[] {
    return [...this.byLink.keys()];
  }

  countOn(link: string): number {
    return this.byLink.get(link)?.size ?? 0;
  }

  enter(key: SpecKey, { spec, wanted, phase }: Pick<Announcement, 'spec' | 'wanted' | 'phase'>): void {
    const { vip, link } = spec;
    const entry: Announcement = {
      key,
      vip,
      link,
      phase,
      spec,
      wanted,
      schedule: undefined,
      context: undefined,
      generation: -1,
      obstacle: undefined,
      complaint: undefined,
      last: undefined,
      sent: undefined,
      advertisement: undefined,
      place: undefined,
    };
    this.byKey.set(key, entry);
    this.byVip.set(vip, append(this.byVip.get(vip), entry));
    const beside = this.byLink.get(link);
    if (beside === undefined) this.byLink.set(link, new Set([entry]));
    else beside.add(entry);
  }

  leave(entry: Announcement): void {
    this.byKey.delete(entry.key);
    const others = this.ofVip(entry.vip).filter((other) => other !== entry);
    if (others.length === 0) this.byVip.delete(entry.vip);
    else this.byVip.set(entry.vip, others);
    const beside = this.byLink.get(entry.link);
    beside?.delete(entry);
    if (beside?.size === 0) this.byLink.delete(entry.link);
  }
}
