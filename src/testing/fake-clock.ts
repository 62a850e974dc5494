import type { Clock, Timer } from '../lib/clock.ts';
import { sleepBy } from '../lib/clock.ts';

export interface FakeClockOptions {
  /** Monotonic milliseconds at the start; 0 by default. */
  readonly now?: number;
  /** Wall clock at the start, milliseconds since the epoch; 2026-01-01T00:00:00Z by default. */
  readonly wall?: number;
}

interface FakeTimer extends Timer {
  readonly order: number;
  readonly callback: () => void;
}

const defaultWall = Date.UTC(2026, 0, 1);

/**
 * A clock that moves only when told to. Timers fire in order of their due time (ties: order of
 * arming), and between two timers every promise and `setImmediate` that is ready gets to run, so a
 * timer armed by an awaited continuation still fires inside the same `advance`.
 */
export class FakeClock implements Clock {
  private monotonic: number;
  private wallBase: number;
  /** Monotonic time at which `wallBase` was set. */
  private wallSince: number;
  private wallRate = 1;
  private armed = new Set<FakeTimer>();
  private order = 0;

  constructor(options: FakeClockOptions = {}) {
    this.monotonic = options.now ?? 0;
    this.wallBase = options.wall ?? defaultWall;
    this.wallSince = this.monotonic;
  }

  now(): number {
    return this.monotonic;
  }

  wall(): number {
    return this.wallBase + (this.monotonic - this.wallSince) * this.wallRate;
  }

  after(name: string, ms: number, callback: () => void): Timer {
    const timer: FakeTimer = {
      name,
      at: this.monotonic + Math.max(0, ms),
      order: this.order++,
      callback,
      cancel: () => this.armed.delete(timer),
    };
    this.armed.add(timer);
    return timer;
  }

  sleep(name: string, ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy(this, name, ms, signal);
  }

  timers(): readonly Timer[] {
    return [...this.armed].sort((a, b) => a.at - b.at || a.order - b.order);
  }

  /** Moves time forward by `ms`, firing what falls due on the way, each at its own due time. */
  async advance(ms: number): Promise<void> {
    await this.advanceTo(this.monotonic + ms);
  }

  /** Like `advance`, to a monotonic instant; an instant in the past only flushes and fires what is due. */
  async advanceTo(instant: number): Promise<void> {
    await this.flush();
    for (let next = this.due(instant); next !== undefined; next = this.due(instant)) {
      this.armed.delete(next);
      this.monotonic = Math.max(this.monotonic, next.at);
      next.callback();
      await this.flush();
    }
    this.monotonic = Math.max(this.monotonic, instant);
  }

  /**
   * Time passes but nothing of this program runs: a SIGSTOP, a blocked event loop, a suspended
   * machine. Overdue timers fire late, at the next `advance` (of 0 ms, if need be).
   */
  pause(ms: number): void {
    this.monotonic += ms;
  }

  /** Steps the wall clock (NTP, an operator); monotonic time and timers do not notice. */
  setWall(wall: number): void {
    this.wallBase = wall;
    this.wallSince = this.monotonic;
  }

  /** From now on the wall clock runs `rate` times as fast as the monotonic one (1.0001: 100 ppm fast). */
  skewWall(rate: number): void {
    this.setWall(this.wall());
    this.wallRate = rate;
  }

  /** Lets every promise and `setImmediate` that is ready run, without moving time. */
  async flush(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  private due(instant: number): FakeTimer | undefined {
    let first: FakeTimer | undefined;
    for (const timer of this.armed) {
      if (timer.at > instant) continue;
      if (
        first === undefined ||
        timer.at < first.at ||
        (timer.at === first.at && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  }
}
