import type { Clock, Timer } from '../../lib/clock.ts';
import { Pace } from './pace.ts';
import type { AddressRecord } from './record.ts';

/** A turn ends after this long, or after so many records; what is left follows in the next one. */
const turnMs = 8;
const turnRecords = 256;

export interface TurnsParts {
  readonly clock: Clock;
  /** Handles these as one piece. */
  readonly handle: (records: readonly AddressRecord[]) => void;
  /** A turn is over. */
  readonly done: () => void;
}

/** Records that wait for their turn, in order, and how fast they are handled. */
class Backlog {
  readonly records = new Set<AddressRecord>();
  readonly pace = new Pace(turnRecords);

  /** As many as one turn handles at most. */
  oldest(): readonly AddressRecord[] {
    const oldest: AddressRecord[] = [];
    for (const record of this.records) {
      if (oldest.length === turnRecords) break;
      oldest.push(record);
    }
    return oldest;
  }
}

/**
 * Cuts the handling of records into turns of the event loop, in order; each waits once however often it is given. What
 * is only to be checked waits behind all others: of thousands that takes many turns.
 */
export class Turns {
  private readonly parts: TurnsParts;
  private readonly work = new Backlog();
  private readonly checks = new Backlog();
  private next: Timer | undefined;

  constructor(parts: TurnsParts) {
    this.parts = parts;
  }

  /** Records wait for their turn, and not only to be checked. */
  get isBusy(): boolean {
    return this.work.records.size > 0;
  }

  waits(record: AddressRecord): boolean {
    return this.work.records.has(record);
  }

  /** Now, as many as there are. */
  runAll(records: readonly AddressRecord[]): void {
    this.run(records, Infinity, this.work);
  }

  /** Now, or after all that waits already: many calls in one turn of the event loop are no longer than one. */
  runInTurn(records: readonly AddressRecord[]): void {
    if (!this.isBusy) this.run(records, this.turnEnd(), this.work);
    else for (const record of records) this.work.records.add(record);
  }

  /** When nothing else is to be done. */
  check(records: readonly AddressRecord[]): void {
    for (const record of records) this.checks.records.add(record);
    this.arm();
  }

  close(): void {
    this.next?.cancel();
    this.work.records.clear();
    this.checks.records.clear();
  }

  private turnEnd(): number {
    return this.parts.clock.now() + turnMs;
  }

  /** Handles records until the turn is over; the rest waits for the next one. */
  private run(records: readonly AddressRecord[], deadline: number, backlog: Backlog): void {
    const { clock } = this.parts;
    const { pace } = backlog;
    const most = deadline === Infinity ? Infinity : turnRecords;
    for (let at = 0, now = clock.now(); at < records.length;) {
      if (at >= most || (at > 0 && now >= deadline)) {
        for (const record of records.slice(at)) backlog.records.add(record);
        break;
      }
      const chunk = records.slice(at, Math.min(most, at + pace.next(deadline - now)));
      for (const record of chunk) {
        this.work.records.delete(record);
        this.checks.records.delete(record);
      }
      this.parts.handle(chunk);
      const after = clock.now();
      pace.took(chunk.length, after - now);
      at += chunk.length;
      now = after;
    }
    this.arm();
    this.parts.done();
  }

  private arm(): void {
    if (!this.isBusy && this.checks.records.size === 0) return;
    this.next ??= this.parts.clock.after('address-backlog', 0, () => {
      this.next = undefined;
      const backlog = this.isBusy ? this.work : this.checks;
      this.run(backlog.oldest(), this.turnEnd(), backlog);
    });
  }
}
