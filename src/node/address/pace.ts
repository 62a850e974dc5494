/** Before anything was measured. */
const firstGuessMs = 0.25;

/**
 * How many records to handle as one piece, so that their kernel calls go out together and the turn still ends
 * in time. Linux walks all IPv4 addresses of a link for each one more, a quarter of a millisecond with 10 000,
 * and after each call, not each address, it looks through all of them for lifetimes that are over.
 */
export class Pace {
  private readonly most: number;
  private eachMs = firstGuessMs;

  /** `most`: records in one piece, however fast. */
  constructor(most: number) {
    this.most = most;
  }

  /** `leftMs`: until the turn has to end; Infinity: it need not. */
  next(leftMs: number): number {
    if (this.eachMs <= 0) return this.most;
    return Math.max(1, Math.min(this.most, Math.floor(leftMs / this.eachMs)));
  }

  took(records: number, ms: number): void {
    this.eachMs = ms / records;
  }
}
