import type { Clock, Timer } from '../lib/clock.ts';
import type { Campaign, Campaigns } from './campaigns.ts';
import type { LeaseKey, ServiceKey } from './types.ts';

export interface MembershipParts {
  readonly campaigns: Campaigns;
  readonly clock: Clock;
  /** The lease under which the Service is published. */
  readonly publishedUnder: (key: ServiceKey) => LeaseKey | undefined;
  /** Its time to be published under a lease that is not its own is over. */
  readonly overdue: (key: ServiceKey) => void;
}

export interface HandoverTimes {
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
}

/**
 * Which lease each Service depends on, and the hand-over when that changes (a sharer of its address was
 * deleted, an annotation edited):
 *
 *   node that advertises it   goes on under the old lease, at most until the renew deadline ("trailing"),
 *                             and is the only one that campaigns for the new lease in that time
 *   other nodes               stay out of the new lease's race for a lease duration, unless the holder may not have
 *                             the Service any more, as its endpoints are: then nobody waits for it. Who stays out
 *                             reads nothing of that lease, and at the next change goes by what it knew before
 *
 * So the address does not move, and is never on two nodes.
 */
export class Membership {
  private readonly parts: MembershipParts;
  private readonly times: HandoverTimes;
  private readonly leases = new Map<ServiceKey, LeaseKey>();
  private readonly trailers = new Map<ServiceKey, { readonly lease: LeaseKey; readonly end: Timer }>();
  /** For whom this node stays out of a race, and for how long. */
  private readonly precedence = new Map<ServiceKey, { readonly holder: string; readonly until: number }>();

  constructor(parts: MembershipParts, times: HandoverTimes) {
    this.parts = parts;
    this.times = times;
  }

  leaseOf(key: ServiceKey): LeaseKey | undefined {
    return this.leases.get(key);
  }

  isTrailing(key: ServiceKey): boolean {
    return this.trailers.has(key);
  }

  /** Makes the Service a member of this lease, and of no other. `hosts`: who may hold it; undefined: any node. */
  enlist(key: ServiceKey, lease: LeaseKey, hosts?: ReadonlySet<string>): void {
    const { campaigns, clock, publishedUnder } = this.parts;
    const before = this.leases.get(key);
    if (before === lease) return;
    this.leases.set(key, lease);
    const holder = before === undefined ? '' : this.holderOf(key, campaigns.get(before));
    const mayGoOn = holder !== '' && hosts?.has(holder) !== false;
    const trails = before !== undefined && publishedUnder(key) === before;
    if (trails) this.trail(key, before);
    const delayMs = mayGoOn ? this.times.leaseDurationMs : 0;
    if (mayGoOn) this.precedence.set(key, { holder, until: clock.now() + delayMs });
    else this.precedence.delete(key);
    campaigns.join(lease, key, delayMs);
    if (before !== undefined && !trails) campaigns.leave(before, key);
  }

  /** The Service is published under its own lease now, or not at all. */
  settle(key: ServiceKey): void {
    const trailer = this.trailers.get(key);
    if (trailer === undefined) return;
    trailer.end.cancel();
    this.trailers.delete(key);
    const { campaigns } = this.parts;
    campaigns.get(trailer.lease)?.trailing.delete(key);
    if (this.leases.get(key) !== trailer.lease) campaigns.leave(trailer.lease, key);
  }

  /** The Service needs no lease any more; it must not be published. */
  quit(key: ServiceKey): void {
    this.settle(key);
    const lease = this.leases.get(key);
    this.leases.delete(key);
    this.precedence.delete(key);
    if (lease !== undefined) this.parts.campaigns.leave(lease, key);
  }

  close(): void {
    for (const { end } of this.trailers.values()) end.cancel();
    this.trailers.clear();
  }

  /** Which other node has the Service by its former lease, as far as is known; '': none. */
  private holderOf(key: ServiceKey, former: Campaign | undefined): string {
    if (former?.fence !== undefined) return '';
    if (former?.holder !== undefined) return former.holder;
    const last = this.precedence.get(key);
    return last !== undefined && this.parts.clock.now() < last.until ? last.holder : '';
  }

  private trail(key: ServiceKey, lease: LeaseKey): void {
    const former = this.parts.campaigns.get(lease);
    former?.members.delete(key);
    former?.trailing.add(key);
    const end = this.parts.clock.after('services-trailing', this.times.renewDeadlineMs, () => {
      this.parts.overdue(key);
    });
    this.trailers.get(key)?.end.cancel();
    this.trailers.set(key, { lease, end });
  }
}
