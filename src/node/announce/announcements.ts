import type { Ip } from '../../lib/ip.ts';
import type { AnnounceState } from '../../protocols/index.ts';
import type { SpecKey, WantedAnnouncement } from '../spec-book.ts';
import type { AnnouncementSpec, LastAction } from '../types.ts';
import { Frames, type Obstacle } from './frames.ts';

/** One VIP that is to be announced on one link. */
export interface Announcement {
  readonly key: SpecKey;
  readonly vip: Ip;
  readonly link: string;
  readonly phase: number;
  readonly frames: Frames;
  spec: AnnouncementSpec;
  wanted: WantedAnnouncement;
  /** Undefined while it rests: something has to happen first. */
  schedule: AnnounceState | undefined;
  /** Why it rests. */
  obstacle: Obstacle | undefined;
  /** The error that was logged and not yet followed by a success. */
  complaint: string | undefined;
  last: LastAction | undefined;
  /** Which of its places in the queue is the valid one. */
  turn: number;
}

/** Announcements by key, by VIP and by link name. */
export class Announcements {
  private readonly byKey = new Map<SpecKey, Announcement>();
  private readonly byVip = new Map<Ip, Set<Announcement>>();
  private readonly byLink = new Map<string, Set<Announcement>>();

  get(key: SpecKey): Announcement | undefined {
    return this.byKey.get(key);
  }

  has(entry: Announcement): boolean {
    return this.byKey.get(entry.key) === entry;
  }

  all(): readonly Announcement[] {
    return [...this.byKey.values()];
  }

  ofVip(vip: Ip): readonly Announcement[] {
    return [...(this.byVip.get(vip) ?? [])];
  }

  ofLink(name: string): readonly Announcement[] {
    return [...(this.byLink.get(name) ?? [])];
  }

  countOn(link: string): number {
    return this.byLink.get(link)?.size ?? 0;
  }

  enter(key: SpecKey, from: Pick<Announcement, 'spec' | 'wanted' | 'phase'>): void {
    const { vip, link } = from.spec;
    const entry: Announcement = {
      ...from,
      key,
      vip,
      link,
      frames: new Frames(),
      schedule: undefined,
      obstacle: undefined,
      complaint: undefined,
      last: undefined,
      turn: 0,
    };
    this.byKey.set(key, entry);
    join(this.byVip, vip, entry);
    join(this.byLink, link, entry);
  }

  leave(entry: Announcement): void {
    this.byKey.delete(entry.key);
    part(this.byVip, entry.vip, entry);
    part(this.byLink, entry.link, entry);
  }
}

function join<K>(index: Map<K, Set<Announcement>>, key: K, entry: Announcement): void {
  const found = index.get(key);
  if (found === undefined) index.set(key, new Set([entry]));
  else found.add(entry);
}

function part<K>(index: Map<K, Set<Announcement>>, key: K, entry: Announcement): void {
  const found = index.get(key);
  found?.delete(entry);
  if (found?.size === 0) index.delete(key);
}
