import type { Clock } from './clock.ts';

/** One that takes longer hangs, and gives its place away. Milliseconds. */
export const hangingMs = 500;
/** Those that hang: a webhook that does not answer makes one of each object. Any more are to be given up, for now. */
const maxHanging = 96;
/** So many of them hung the last time already. */
const maxHangingAgain = 24;

/** How many calls may be under way side by side: those that hang hold nobody up. */
export class Places {
  private readonly clock: Clock;
  private readonly places: number;
  private quick = 0;
  private hanging = 0;

  constructor(clock: Clock, places: number) {
    this.clock = clock;
    this.places = places;
  }

  get taken(): number {
    return this.quick + this.hanging;
  }

  /** For one that hung the last time, or for one that did not. */
  isFree(hung: boolean): boolean {
    return hung ? this.hanging < maxHangingAgain : this.quick < this.places;
  }

  /** Takes a place; the function gives it back. `hangs` is told when it has been given to others, and whether too many hang. */
  take(hung: boolean, hangs: (isOneTooMany: boolean) => void): () => void {
    if (hung) {
      this.hanging++;
      return () => {
        this.hanging--;
      };
    }
    this.quick++;
    let isHanging = false;
    const timer = this.clock.after('places', hangingMs, () => {
      isHanging = true;
      this.quick--;
      this.hanging++;
      hangs(this.hanging > maxHanging);
    });
    return () => {
      timer.cancel();
      if (isHanging) this.hanging--;
      else this.quick--;
    };
  }
}
