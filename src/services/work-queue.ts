import type { Clock, Timer } from '../lib/clock.ts';

/** A turn handles items for this long; what is left follows in the next one. */
const turnMs = 4;

/**
 * Keys that have to be looked at, each once however often it is added, first come first served. Work is
 * done at once, in the turn in which it came up, but never for long: other work gets its turn in between.
 */
export class WorkQueue<K> {
  private readonly keys = new Set<K>();
  private readonly clock: Clock;
  private readonly name: string;
  private readonly handle: (key: K) => void;
  private readonly turn: (work: () => void) => void;
  private timer: Timer | undefined;
  private isWorking = false;
  private isOpen = false;

  /** `turn` runs the work of one turn. */
  constructor(clock: Clock, name: string, handle: (key: K) => void, turn: (work: () => void) => void) {
    this.turn = turn;
    this.clock = clock;
    this.name = name;
    this.handle = handle;
  }

  get size(): number {
    return this.keys.size;
  }

  add(keys: Iterable<K>): void {
    for (const key of keys) this.keys.add(key);
  }

  /** Before this, keys are only collected. */
  open(): void {
    this.isOpen = true;
    this.work();
  }

  close(): void {
    this.isOpen = false;
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** Works now, or at the end of what is being done now. */
  work(): void {
    if (!this.isOpen || this.isWorking) return;
    this.timer?.cancel();
    this.timer = undefined;
    this.isWorking = true;
    const end = this.clock.now() + turnMs;
    try {
      this.turn(() => {
        for (const key of this.keys) {
          this.keys.delete(key);
          this.handle(key);
          if (this.clock.now() > end) break;
        }
      });
    } finally {
      this.isWorking = false;
    }
    if (this.keys.size > 0) this.workIn(0);
  }

  /** Works after so many milliseconds, unless that is planned already. */
  workIn(ms: number): void {
    if (!this.isOpen) return;
    this.timer ??= this.clock.after(this.name, ms, () => {
      this.timer = undefined;
      this.work();
    });
  }
}
