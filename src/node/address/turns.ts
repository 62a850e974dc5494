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

/** Cuts the handling of records into turns of the event loop, in order; each waits once however often it is given. */
export class Turns {
  private readonly parts: TurnsParts;
  private readonly backlog = new Set<AddressRecord>();
  private readonly pace = new Pace(turnRecords);
  private next: Timer | undefined;

  constructor(parts: TurnsParts) {
    this.parts = parts;
  }

  /** Records wait for their turn. */
  get isBusy(): boolean {
    return this.backlog.size > 0;
  }

  waits(record: AddressRecord): boolean {
    return this.backlog.has(record);
  }

  /** Now, as many as there are. */
  runAll(records: readonly AddressRecord[]): void {
    this.run(records, Infinity);
  }

  /** Now, or after all that waits already: many calls in one turn of the event loop are no longer than one. */
  runInTurn(records: readonly AddressRecord[]): void {
    if (this.backlog.size === 0) this.run(records, this.turnEnd());
    else for (const record of records) this.backlog.add(record);
  }

  close(): void {
    this.next?.cancel();
    this.backlog.clear();
  }

  private turnEnd(): number {
    return this.parts.clock.now() + turnMs;
  }

  /** Handles records until the turn is over; the rest waits for the next one. */
  private run(records: readonly AddressRecord[], deadline: number): void {
    const { clock } = this.parts;
    const most = deadline === Infinity ? Infinity : turnRecords;
    for (let at = 0, now = clock.now(); at < records.length;) {
      if (at >= most || (at > 0 && now >= deadline)) {
        for (const record of records.slice(at)) this.backlog.add(record);
        break;
      }
      const chunk = records.slice(at, Math.min(most, at + this.pace.next(deadline - now)));
      for (const record of chunk) this.backlog.delete(record);
      this.parts.handle(chunk);
      const after = clock.now();
      this.pace.took(chunk.length, after - now);
      at += chunk.length;
      now = after;
    }
    this.arm();
    this.parts.done();
  }

  /** As many as one turn handles at most. */
  private oldest(): readonly AddressRecord[] {
    const oldest: AddressRecord[] = [];
    for (const record of this.backlog) {
      if (oldest.length === turnRecords) break;
      oldest.push(record);
    }
    return oldest;
  }

  private arm(): void {
    if (this.backlog.size === 0) return;
    this.next ??= this.parts.clock.after('address-backlog', 0, () => {
      this.next = undefined;
      this.run(this.oldest(), this.turnEnd());
    });
  }
}
