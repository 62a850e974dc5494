import type { Clock, Timer } from '../../lib/clock.ts';

/** What is due within this time of the first is done with it. */
const togetherMs = 20;

/** Keys for which something has to be done a while after they were added last, many at once. */
export class Due {
  private readonly clock: Clock;
  private readonly name: string;
  private readonly ms: number;
  private readonly act: (keys: readonly string[]) => void;
  private readonly dueAt = new Map<string, number>();
  private timer: Timer | undefined;

  constructor(clock: Clock, name: string, ms: number, act: (keys: readonly string[]) => void) {
    this.clock = clock;
    this.name = name;
    this.ms = ms;
    this.act = act;
  }

  add(key: string): void {
    this.dueAt.delete(key);
    this.dueAt.set(key, this.clock.now() + this.ms);
    if (this.timer === undefined) this.arm(this.ms);
  }

  close(): void {
    this.timer?.cancel();
    this.dueAt.clear();
  }

  private arm(ms: number): void {
    this.timer = this.clock.after(this.name, ms, () => {
      this.timer = undefined;
      const until = this.clock.now() + Math.min(togetherMs, this.ms);
      const keys = [...this.dueAt].flatMap(([key, at]) => (at <= until ? [key] : []));
      for (const key of keys) this.dueAt.delete(key);
      // Added again meanwhile, or later than the others. Insertion order is order of time.
      const [next] = this.dueAt.values();
      if (next !== undefined) this.arm(Math.max(0, next - this.clock.now()));
      if (keys.length > 0) this.act(keys);
    });
  }
}
