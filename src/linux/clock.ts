import type { Clock, Timer } from '../lib/clock.ts';
import { sleepBy } from '../lib/clock.ts';
import { clockMs } from './sys.ts';
import { NextTurns } from './next-turns.ts';

const CLOCK_BOOTTIME = 7;
/** The longest delay setTimeout takes; longer ones would fire at once. */
const maxDelayMs = 2 ** 31 - 1;

/**
 * The machine's clock. `now` is CLOCK_BOOTTIME: unlike CLOCK_MONOTONIC it counts while the machine is
 * suspended, so a holder that wakes up knows that its lease is long over.
 */
export function systemClock(): Clock {
  return new SystemClock();
}

class SystemClock implements Clock {
  private readonly armed = new Set<Timer>();
  private readonly nextTurns = new NextTurns(() => this.now());

  now(): number {
    return clockMs(CLOCK_BOOTTIME);
  }

  wall(): number {
    return Date.now();
  }

  after(name: string, ms: number, callback: () => void): Timer {
    // Without the whole millisecond that setTimeout waits.
    if (ms <= 0) return this.nextTurns.add(name, callback);
    const at = this.now() + ms;
    let handle: NodeJS.Timeout;
    const arm = (delay: number): void => {
      handle = setTimeout(fire, Math.min(delay, maxDelayMs));
    };
    const fire = (): void => {
      const left = at - this.now();
      // setTimeout counts whole milliseconds of another clock and may be early by a fraction.
      if (left > 0) {
        arm(Math.ceil(left));
        return;
      }
      this.armed.delete(timer);
      callback();
    };
    const timer: Timer = {
      name,
      at,
      cancel: () => {
        this.armed.delete(timer);
        clearTimeout(handle);
      },
    };
    this.armed.add(timer);
    arm(Math.ceil(ms));
    return timer;
  }

  sleep(name: string, ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy(this, name, ms, signal);
  }

  timers(): readonly Timer[] {
    return [...this.nextTurns.timers(), ...this.armed].sort((a, b) => a.at - b.at);
  }
}
