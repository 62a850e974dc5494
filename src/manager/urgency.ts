import type { Election } from '../election/index.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';

export interface UrgencyParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** Lets this thread run before others; returns what ends that, undefined where it may not. */
  readonly runFirst: () => (() => void) | undefined;
}

/** Between two looks at whether VIPs still wait. At two in a row none may: one part may be through before the next has begun. */
const lookMs = 10;
const enoughLooks = 2;
/** Whatever waits. */
const mostMs = 1000;
/** Leases that come and go all the time do not take a processor for themselves. */
const pauseMs = 8000;

/**
 * While leases change hands this process does not wait for processors behind others: a thousand VIPs are a tenth of
 * a second of work, which took half as long again beside other work.
 *
 * Only as long as VIPs wait. An event loop that has nothing to do but to wait for V8's own threads asks again and again whether
 * they are done, and before all others it would keep the processor from them, and from the API server.
 */
export class Urgency {
  private readonly parts: UrgencyParts;
  private readonly waiting: (() => boolean)[] = [];
  private end: (() => void) | undefined;
  private timer: Timer | undefined;
  private isOpen = true;

  constructor(parts: UrgencyParts) {
    this.parts = parts;
  }

  /** VIPs wait for their turn, in a part of this process, as long as this says so. */
  lastsWhile(isWaiting: () => boolean): void {
    this.waiting.push(isWaiting);
  }

  /** A lease is about to come or go. */
  begin(): void {
    const { clock, log, runFirst } = this.parts;
    if (!this.isOpen || this.timer !== undefined) return;
    this.end = runFirst();
    if (this.end === undefined) {
      this.isOpen = false;
      const why = 'no capability SYS_NICE, or somebody chose a scheduling policy for this process';
      log.debug('VIPs that change hands wait for processors like any other work', { why });
      return;
    }
    this.lookIn(enoughLooks, clock.now());
  }

  /** Ends when nothing has waited at so many looks more. */
  private lookIn(looks: number, sinceMs: number): void {
    const { clock, log } = this.parts;
    this.timer = clock.after('urgency', lookMs, () => {
      const left = this.waiting.some((isWaiting) => isWaiting()) ? enoughLooks : looks - 1;
      const ms = clock.now() - sinceMs;
      if (left > 0 && ms < mostMs) {
        this.lookIn(left, sinceMs);
        return;
      }
      this.finish();
      log.debug('VIPs that changed hands went before other work', { ms });
      this.timer = clock.after('urgency', pauseMs, () => {
        this.timer = undefined;
      });
    });
  }

  close(): void {
    this.isOpen = false;
    this.timer?.cancel();
    this.finish();
  }

  private finish(): void {
    this.end?.();
    this.end = undefined;
  }
}

/** The same election; what its listener does at the beginning and the end of a tenure is urgent. */
export function urgently(election: Election, urgency: Urgency): Election {
  return {
    run: (listener, signal) =>
      election.run(
        {
          acquired: (fence) => {
            urgency.begin();
            listener.acquired(fence);
          },
          lost: (reason) => {
            urgency.begin();
            listener.lost(reason);
          },
          withdrawn: () => listener.withdrawn?.(),
          observed: (holder) => {
            listener.observed?.(holder);
          },
        },
        signal,
      ),
    recheck: (why) => {
      election.recheck(why);
    },
    resign: (why, pauseMs) => {
      election.resign(why, pauseMs);
    },
    status: () => election.status(),
  };
}
