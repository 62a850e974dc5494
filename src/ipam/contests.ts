import type { Clock, Random } from '../lib/clock.ts';
import { calmMs, contestPause } from '../lib/contest.ts';
import type { ServiceKey } from './types.ts';

/** A hand takes an address off once or twice, to be given another one. */
const forgiven = 3;

interface Written {
  readonly at: number;
  /** How often in a row what was written had to be written again. */
  readonly undone: number;
  /** When it may be written again; undefined: not asked for since. */
  readonly until: number | undefined;
}

/**
 * Others keep Services as they want them and take off what we write. Both would answer each other as fast as the API
 * server takes it, so who is undone again and again waits longer each time.
 */
export class Contests {
  private readonly clock: Clock;
  private readonly random: Random;
  /** In the order of the writes; those long past are forgotten. */
  private readonly written = new Map<ServiceKey, Written>();

  constructor(clock: Clock, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  /** An address was written into this Service. */
  wrote(key: ServiceKey): void {
    const at = this.clock.now();
    const undone = this.written.get(key)?.undone ?? 0;
    this.written.delete(key);
    this.written.set(key, { at, undone, until: undefined });
    for (const [oldest, { at: then }] of this.written) {
      if (at - then <= calmMs) break;
      this.written.delete(oldest);
    }
  }

  /** It has to be written again: how long to wait before, milliseconds, and whether it begins to be a fight. */
  pauseBefore(key: ServiceKey): { readonly ms: number; readonly isNew: boolean } {
    const last = this.written.get(key);
    const now = this.clock.now();
    if (last === undefined || now - last.at > calmMs) {
      this.written.delete(key);
      return { ms: 0, isNew: false };
    }
    if (last.until !== undefined) return { ms: Math.max(0, last.until - now), isNew: false };
    const undone = last.undone + 1;
    const found = contestPause(undone, forgiven, this.random);
    this.written.set(key, { ...last, undone, until: now + found.ms });
    return found;
  }

  forget(key: ServiceKey): void {
    this.written.delete(key);
  }
}
