import type { Clock, Timer } from '../lib/clock.ts';

/** What the API server tells is handled for this long in one turn of the event loop, milliseconds. */
const turnMs = 8;
/** Less than this is not counted: the next turn need not be waited for. */
const littleMs = 1;

/**
 * Cuts work into turns of the event loop: a thousand events that were received together, or a long list, must not
 * keep the process from renewing its lease. What comes alone is handled where it is.
 */
export class Turns {
  private readonly clock: Clock;
  private spent = 0;
  private next: Timer | undefined;
  private waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** In order. Undefined when all was handled in this turn, else a promise that rejects with what `handle` throws. */
  each<T>(items: readonly T[], handle: (item: T) => void): Promise<void> | undefined {
    const done = this.some(items, 0, handle);
    return done === items.length ? undefined : this.rest(items, done, handle);
  }

  private async rest<T>(items: readonly T[], from: number, handle: (item: T) => void): Promise<void> {
    for (let at = from; at < items.length; at = this.some(items, at, handle)) {
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
        this.arm();
      });
    }
  }

  /** Returns how many are handled. */
  private some<T>(items: readonly T[], from: number, handle: (item: T) => void): number {
    const { clock } = this;
    let at = from;
    let before = clock.now();
    try {
      for (const item of items.slice(from)) {
        if (this.spent >= turnMs) break;
        at++;
        handle(item);
        const after = clock.now();
        this.spent += after - before;
        before = after;
      }
    } finally {
      if (this.spent >= littleMs) this.arm();
    }
    return at;
  }

  private arm(): void {
    this.next ??= this.clock.after('kube-turn', 0, () => {
      this.next = undefined;
      this.spent = 0;
      const waiting = this.waiting;
      this.waiting = [];
      for (const resolve of waiting) resolve();
    });
  }
}
