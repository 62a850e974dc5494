import type { Election } from '../election/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';

/** One resignation keeps a node out of the race for this long: what is left of it when the reason is gone is lost time. */
const OUT_MS = 2000;

/** Keeps this node out of the race for a lease for as long as a reason lasts, and at most two seconds longer. */
export class StandAside {
  private readonly election: Pick<Election, 'resign'>;
  private readonly clock: Clock;
  private again: Timer | undefined;

  constructor(election: Pick<Election, 'resign'>, clock: Clock) {
    this.election = election;
    this.clock = clock;
  }

  /** Steps back now. The first reason is the one that is told until `over`. */
  from(why: string): void {
    if (this.again === undefined) this.resign(why);
  }

  over(): void {
    this.again?.cancel();
    this.again = undefined;
  }

  private resign(why: string): void {
    this.election.resign(why, OUT_MS);
    this.again = this.clock.after('stand-aside', OUT_MS / 2, () => {
      this.resign(why);
    });
  }
}
