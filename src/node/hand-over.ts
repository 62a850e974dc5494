import type { Clock, Timer } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import { Pace } from './address/pace.ts';
import type { Keyed, SpecKey } from './spec-book.ts';

/** What is handed over in one turn at most, and for how long. */
const turnSpecs = 256;
const turnMs = 5;
/** However slow the last ones were: what one owner publishes stays together, as a rule. */
const leastSpecs = 32;

export interface HandOverParts {
  readonly clock: Clock;
  /** Somebody wants it. */
  readonly isWanted: (key: SpecKey) => boolean;
  /** Tells the reconcilers. */
  readonly tell: (changed: readonly Keyed[]) => void;
}

/**
 * What nobody wants any more is handed to the reconcilers on return. What is wanted is so as well, in the order in which
 * it came; of very much, the rest follows in later turns.
 */
export class HandOver {
  private readonly parts: HandOverParts;
  /** Wanted, and not handed over yet. */
  private pending: Keyed[] = [];
  private readonly pace = new Pace(turnSpecs);
  private next: Timer | undefined;

  constructor(parts: HandOverParts) {
    this.parts = parts;
  }

  get isBusy(): boolean {
    return this.pending.length > 0;
  }

  take(changed: Iterable<Keyed>): void {
    const gone: Keyed[] = [];
    const isFirst = !this.isBusy;
    for (const each of changed) (this.parts.isWanted(each.key) ? this.pending : gone).push(each);
    // Before what goes, and not behind others: a VIP that changes its link is never on none.
    if (gone.length > 0) this.goFirst(new Set(gone.map(({ spec }) => spec.vip)));
    if (isFirst) this.turn();
    if (gone.length > 0) this.parts.tell(gone);
  }

  private goFirst(vips: ReadonlySet<Ip>): void {
    const moving = this.pending.filter(({ spec }) => vips.has(spec.vip));
    if (moving.length === 0) return;
    this.pending = this.pending.filter(({ spec }) => !vips.has(spec.vip));
    this.parts.tell(moving);
  }

  close(): void {
    this.next?.cancel();
  }

  private turn(): void {
    const { clock, tell } = this.parts;
    const start = clock.now();
    let [left, now] = [turnSpecs, start];
    while (left > 0 && this.isBusy && now < start + turnMs) {
      const size = Math.max(leastSpecs, this.pace.next(start + turnMs - now));
      const piece = this.pending.splice(0, Math.min(left, size));
      left -= piece.length;
      tell(piece);
      const before = now;
      now = clock.now();
      this.pace.took(piece.length, now - before);
    }
    if (this.isBusy) this.next ??= clock.after('node-hand-over', 0, () => this.later());
  }

  private later(): void {
    this.next = undefined;
    this.turn();
  }
}
