import type { Clock, Timer } from '../lib/clock.ts';
import type { ServiceKey } from './types.ts';

/** Milliseconds. A node that wants a lease takes it in a tenth of this when it is released. */
const answerMs = 500;

interface Offer {
  readonly to: Set<string>;
  timer: Timer | undefined;
}

/**
 * A holder whose last endpoint is terminating steps back for nodes whose endpoint stays. Whether a node runs this program
 * nobody says, so it does that for a moment: then these nodes have had their chance, and it is in the race again as long as
 * its endpoint serves.
 */
export class Offers {
  private readonly clock: Clock;
  private readonly due: (key: ServiceKey) => void;
  private readonly offers = new Map<ServiceKey, Offer>();

  /** `due`: nodes have had their chance, so another decision may be right. */
  constructor(clock: Clock, due: (key: ServiceKey) => void) {
    this.clock = clock;
    this.due = due;
  }

  has(key: ServiceKey): boolean {
    return this.offers.has(key);
  }

  hadChance(key: ServiceKey, node: string): boolean {
    return this.offers.get(key)?.to.has(node) === true;
  }

  /** This node steps back for these. */
  make(key: ServiceKey, nodes: Iterable<string>): void {
    const offer = this.offers.get(key) ?? { to: new Set(), timer: undefined };
    this.offers.set(key, offer);
    const candidates = [...nodes];
    offer.timer ??= this.clock.after(`services-offer ${key}`, answerMs, () => {
      offer.timer = undefined;
      for (const node of candidates) offer.to.add(node);
      this.due(key);
    });
  }

  /** It has an endpoint that stays, or none any more. */
  end(key: ServiceKey): void {
    this.offers.get(key)?.timer?.cancel();
    this.offers.delete(key);
  }

  close(): void {
    for (const key of this.offers.keys()) this.end(key);
  }
}
