import type { Clock, Timer } from '../lib/clock.ts';

/** Lines that are repeated within this window are held back and counted. */
const WINDOW_MS = 10_000;
/** Different lines watched for repeats at one time; the oldest gives way. */
const MAX_KEYS = 256;

interface Entry<T> {
  readonly first: T;
  readonly until: number;
  held: number;
  timer: Timer | undefined;
}

/**
 * Lets the first of equal lines through at once and, when more of them came, one more at the end of
 * the window that says how many.
 */
export class Fold<T> {
  private readonly entries = new Map<string, Entry<T>>();
  private readonly clock: Clock;
  private readonly emit: (item: T, repeated: number) => void;

  constructor(clock: Clock, emit: (item: T, repeated: number) => void) {
    this.clock = clock;
    this.emit = emit;
  }

  add(key: string, item: T): void {
    const now = this.clock.now();
    const entry = this.entries.get(key);
    if (entry !== undefined && now < entry.until) {
      entry.held++;
      entry.timer ??= this.clock.after('log-fold', entry.until - now, () => this.close(key));
      return;
    }
    if (entry !== undefined) this.close(key);
    const oldest = this.entries.size >= MAX_KEYS ? this.entries.keys().next().value : undefined;
    if (oldest !== undefined) this.close(oldest);
    this.entries.set(key, { first: item, until: now + WINDOW_MS, held: 0, timer: undefined });
    this.emit(item, 0);
  }

  /** Says what is held back, before the process ends. */
  flush(): void {
    for (const key of [...this.entries.keys()]) this.close(key);
  }

  private close(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    entry.timer?.cancel();
    if (entry.held > 0) this.emit(entry.first, entry.held);
  }
}
