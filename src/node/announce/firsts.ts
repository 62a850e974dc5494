/**
 * While VIPs become usable one after the other, all time is theirs: whoever was announced already is
 * announced again when no new one has come for this long, or when its turn is so much overdue.
 */
const quietMs = 50;
const maxOverdueMs = 3000;
/** A refresh may be so much too early, to leave in the same turn as others. */
const maxSlackMs = 500;
/** So many VIPs in `quietMs` are a crowd. */
const crowd = 32;

/** First announcements go before all others: who was already heard can wait while others have not been. */
export class Firsts {
  private lastAt = -Infinity;
  private windowEnd = -Infinity;
  private inWindow = 0;

  /**
   * A VIP is announced for the first time. True when many are in these milliseconds: one form is enough then, because
   * both follow when all have been heard.
   */
  note(now: number): boolean {
    this.lastAt = now;
    if (now >= this.windowEnd) {
      this.windowEnd = now + quietMs;
      this.inWindow = 0;
    }
    return ++this.inWindow > crowd;
  }

  /** What falls due until then may be sent now. */
  horizon(now: number): number {
    return now < this.lastAt + quietMs ? now - maxOverdueMs : now + maxSlackMs;
  }

  /** When to look again if this is the earliest time at which something falls due. */
  wakeAt(earliest: number): number {
    const quietAt = this.lastAt + quietMs;
    return earliest >= quietAt ? earliest : Math.min(quietAt, earliest + maxOverdueMs);
  }
}
