import type { Clock, Timer } from '../lib/clock.ts';
import type { Keyed, SpecKey } from './spec-book.ts';

/** Specs that reconcilers are told of in one turn. */
const atOnce = 256;

export interface HandOverParts {
  readonly clock: Clock;
  /** Somebody wants it. */
  readonly isWanted: (key: SpecKey) => boolean;
  /** Tells the reconcilers. */
  readonly tell: (changed: readonly Keyed[]) => void;
}

/** What nobody wants any more is handed to the reconcilers on return; of very much that is wanted, the rest follows in later turns. */
export class HandOver {
  private readonly parts: HandOverParts;
  /** Wanted, and not handed over yet. */
  private readonly pending: Keyed[] = [];
  private next: Timer | undefined;

  constructor(parts: HandOverParts) {
    this.parts = parts;
  }

  get isBusy(): boolean {
    return this.pending.length > 0;
  }

  take(changed: Iterable<Keyed>): void {
    const now: Keyed[] = [];
    const gone: Keyed[] = [];
    for (const each of changed) {
      if (!this.parts.isWanted(each.key)) gone.push(each);
      else if (now.length < atOnce) now.push(each);
      else this.pending.push(each);
    }
    this.parts.tell([...now, ...gone]);
    this.arm();
  }

  close(): void {
    this.next?.cancel();
  }

  private arm(): void {
    if (this.pending.length === 0) return;
    this.next ??= this.parts.clock.after('node-hand-over', 0, () => {
      this.next = undefined;
      this.parts.tell(this.pending.splice(0, atOnce));
      this.arm();
    });
  }
}
