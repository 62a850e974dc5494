import type { Clock, Timer } from '../lib/clock.ts';
import type { ServiceKey } from './types.ts';

/** Milliseconds. A node that wants a lease takes it in a tenth of this when it is released. */
const answerMs = 500;
/** Endpoints may name any node; Kubernetes takes 5000 of them. */
const maxAbsent = 5000;
/** A node that did not come is not asked again for so long. */
const absentMs = 600_000;

interface Offer {
  readonly to: Set<string>;
  timer: Timer | undefined;
}

/**
 * A holder whose last endpoint is terminating steps back for nodes whose endpoint stays. Whether a node runs this program
 * nobody says, so it does that for a moment: then these nodes have had their chance, and it is in the race again as long as
 * its endpoint serves. If it wins, they are not asked again until one of them is seen to advertise something.
 */
export class Offers {
  private readonly clock: Clock;
  private readonly due: (key: ServiceKey) => void;
  private readonly offers = new Map<ServiceKey, Offer>();
  /** Until when, monotonic milliseconds. */
  private readonly absent = new Map<string, number>();

  /** `due`: nodes have had their chance, so another decision may be right. */
  constructor(clock: Clock, due: (key: ServiceKey) => void) {
    this.clock = clock;
    this.due = due;
  }

  has(key: ServiceKey): boolean {
    return this.offers.has(key);
  }

  hadChance(key: ServiceKey, node: string): boolean {
    if (this.offers.get(key)?.to.has(node) === true) return true;
    return this.clock.now() < (this.absent.get(node) ?? -Infinity);
  }

  /** This node advertises it again, or still. */
  notTaken(key: ServiceKey): void {
    const nodes = this.offers.get(key)?.to;
    if (nodes === undefined) return;
    if (this.absent.size > maxAbsent) this.absent.clear();
    for (const node of nodes) this.absent.set(node, this.clock.now() + absentMs);
  }

  /** That node advertises something. */
  seen(node: string): void {
    this.absent.delete(node);
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
