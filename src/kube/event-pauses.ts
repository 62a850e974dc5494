import type { Clock } from '../lib/clock.ts';

/** How long nothing is written after the server said that we may not. */
const PAUSE_MS = 300_000;
/** So many namespaces in a row that refuse are no matter of one namespace. */
const MANY = 3;
const MAX_NAMESPACES = 256;

/**
 * Where Events may not be written for a while. A refusal is first of all one namespace's: it is being deleted, has
 * a quota or a policy of its own, or no RoleBinding. Where no permission was given at all, all of them soon refuse.
 */
export class EventPauses {
  private readonly clock: Clock;
  /** Until when, oldest first. */
  private readonly paused = new Map<string, number>();
  private everywhereUntil = -Infinity;
  /** Namespaces that refused since anything was written. */
  private refusedInARow = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  isPaused(namespace: string): boolean {
    const now = this.clock.now();
    return now < this.everywhereUntil || now < (this.paused.get(namespace) ?? -Infinity);
  }

  /** Returns whether nothing is written anywhere from now on. */
  refused(namespace: string): boolean {
    const until = this.clock.now() + PAUSE_MS;
    this.paused.delete(namespace);
    this.paused.set(namespace, until);
    for (const oldest of this.paused.keys()) {
      if (this.paused.size <= MAX_NAMESPACES) break;
      this.paused.delete(oldest);
    }
    this.refusedInARow++;
    if (this.refusedInARow < MANY) return false;
    this.everywhereUntil = until;
    return true;
  }

  written(): void {
    this.refusedInARow = 0;
  }
}
