import type { Clock, Timer } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Campaigns } from './campaigns.ts';
import { changeoverMs } from './services-view.ts';
import type { LeaseKey, ServiceKey } from './types.ts';

export interface SuccessionParts {
  readonly campaigns: Pick<Campaigns, 'get' | 'join' | 'leave' | 'isPinned'>;
  readonly clock: Clock;
  /** Whether these may have one of their addresses is another question now. */
  readonly look: (keys: Iterable<ServiceKey>) => void;
}

/** The addresses that a Service claims, and the lease that decides about them. */
export interface Claimed {
  readonly lease: LeaseKey;
  readonly vips: readonly Ip[];
}

/** A lease that decided about an address until a moment ago; some node may still have that by it. */
interface Former {
  readonly lease: LeaseKey;
  /** Monotonic milliseconds; by then every node has heard of the change, or knows that it may have missed something. */
  readonly until: number;
}

/** How often the end of these times is looked for. */
const sweepMs = 500;

/**
 * An address has one holder although each node decides by its own copy of the Services which lease that is about, and
 * copies differ for a while. When another lease decides from now on (a Service got the address of another, was
 * deleted, shares it, names another lease):
 *
 *   the holder of the new lease takes the former one as well, as its heir, then the address
 *     └─ and keeps the former one until no node can still believe in it (`changeoverMs`)
 *   the former one is not to be had, because others still need it
 *     └─ the address is taken when that time has passed
 *   ... although nobody needs it: its holder has not heard of the change, and has the address
 *     └─ the address is taken when that holder lets go or is gone
 *
 * A healthy former holder releases in the moment in which it sees the change.
 */
export class Succession {
  private readonly parts: SuccessionParts;
  private readonly claims = new Map<ServiceKey, Claimed>();
  /** How many claims each lease decides about. */
  private readonly needs = new Map<LeaseKey, number>();
  private readonly deciding = new Map<Ip, { lease: LeaseKey; users: number }>();
  private readonly former = new Map<Ip, readonly Former[]>();
  private readonly byLease = new Map<LeaseKey, Set<Ip>>();
  /** Services that have such an address, or would. */
  private readonly takers = new Map<Ip, Set<ServiceKey>>();
  /** The same, by Service. */
  private readonly taken = new Map<ServiceKey, Set<Ip>>();
  private timer: Timer | undefined;

  constructor(parts: SuccessionParts) {
    this.parts = parts;
  }

  /**
   * To be told with each event, for the next one may come before anything is done about this one. `claimed` undefined:
   * the Service claims nothing. `perhapsBefore`: the lease by which another node may have a Service that is new to this one.
   */
  observe(key: ServiceKey, claimed: Claimed | undefined, perhapsBefore?: LeaseKey): void {
    const before = this.claims.get(key);
    if (before === undefined && perhapsBefore !== undefined)
      for (const vip of claimed?.vips ?? []) this.ended(vip, perhapsBefore);
    if (claimed !== undefined) this.need(claimed.lease, 1);
    if (before !== undefined) this.need(before.lease, -1);
    if (claimed === undefined) this.claims.delete(key);
    else this.claims.set(key, claimed);
    if (claimed !== undefined) for (const vip of claimed.vips) this.enter(vip, claimed.lease);
    for (const vip of before?.vips ?? []) this.leave(vip);
  }

  /** May the holder of `lease` have the address, or keep it? Whenever that changes, the Service is told. */
  mayTake(key: ServiceKey, vip: Ip, lease: LeaseKey): boolean {
    const others = this.formersOf(vip).filter((each) => each.lease !== lease);
    if (others.length === 0) return true;
    this.enterTaker(vip, key);
    for (const each of others) this.parts.campaigns.join(each.lease, heirOf(each.lease), 0);
    return others.every((each) => this.isOurs(each.lease) || this.isOver(vip, each));
  }

  /**
   * The Service is not for this node to have. The next holder has to take the former leases, too, so they are left
   * to it.
   */
  gaveUp(key: ServiceKey): void {
    if (!this.taken.has(key)) return;
    const left = new Set<LeaseKey>();
    for (const vip of this.taken.get(key) ?? []) {
      const takers = this.takers.get(vip);
      takers?.delete(key);
      if (takers?.size !== 0) continue;
      this.takers.delete(vip);
      for (const { lease } of this.formersOf(vip)) left.add(lease);
    }
    this.taken.delete(key);
    for (const lease of left) {
      const isNeeded = [...(this.byLease.get(lease) ?? [])].some((vip) => this.takers.has(vip));
      if (!isNeeded) this.parts.campaigns.leave(lease, heirOf(lease));
    }
  }

  /** This node holds the lease from now on, or no longer does. */
  changed(lease: LeaseKey): void {
    const keys = new Set<ServiceKey>();
    for (const vip of this.byLease.get(lease) ?? [])
      for (const key of this.takers.get(vip) ?? []) keys.add(key);
    if (keys.size > 0) this.parts.look(keys);
  }

  close(): void {
    this.timer?.cancel();
  }

  private enter(vip: Ip, lease: LeaseKey): void {
    const known = this.deciding.get(vip);
    if (known === undefined) {
      this.deciding.set(vip, { lease, users: 1 });
      return;
    }
    known.users++;
    if (known.lease === lease) return;
    this.ended(vip, known.lease);
    known.lease = lease;
  }

  private leave(vip: Ip): void {
    const known = this.deciding.get(vip);
    if (known === undefined || --known.users > 0) return;
    this.deciding.delete(vip);
    this.ended(vip, known.lease);
  }

  private enterTaker(vip: Ip, key: ServiceKey): void {
    const takers = this.takers.get(vip);
    if (takers === undefined) this.takers.set(vip, new Set([key]));
    else takers.add(key);
    const vips = this.taken.get(key);
    if (vips === undefined) this.taken.set(key, new Set([vip]));
    else vips.add(vip);
  }

  /** Nothing stands in the way of those who wait for this address any more. */
  private free(vip: Ip): Iterable<ServiceKey> {
    const takers = this.takers.get(vip) ?? new Set();
    this.takers.delete(vip);
    for (const key of takers) {
      const vips = this.taken.get(key);
      vips?.delete(vip);
      if (vips?.size === 0) this.taken.delete(key);
    }
    return takers;
  }

  private need(lease: LeaseKey, by: 1 | -1): void {
    const count = (this.needs.get(lease) ?? 0) + by;
    if (count > 0) this.needs.set(lease, count);
    else this.needs.delete(lease);
  }

  private isOurs(lease: LeaseKey): boolean {
    return this.parts.campaigns.get(lease)?.fence?.holds() === true;
  }

  /** Nobody can have the address by this lease any more. */
  private isOver(vip: Ip, { lease, until }: Former): boolean {
    const { campaigns, clock } = this.parts;
    if (clock.now() < until) return false;
    if (!this.takers.has(vip) || this.needs.has(lease) || campaigns.isPinned(lease)) return true;
    return this.isOurs(lease) || (campaigns.get(lease)?.holder ?? '') === '';
  }

  private ended(vip: Ip, lease: LeaseKey): void {
    const rest = this.formersOf(vip).filter((each) => each.lease !== lease);
    this.former.set(vip, [...rest, { lease, until: this.parts.clock.now() + changeoverMs }]);
    const vips = this.byLease.get(lease);
    if (vips === undefined) this.byLease.set(lease, new Set([vip]));
    else vips.add(vip);
    this.arm();
  }

  private formersOf(vip: Ip): readonly Former[] {
    return this.former.get(vip) ?? [];
  }

  private forget(vip: Ip, lease: LeaseKey): void {
    const rest = this.formersOf(vip).filter((each) => each.lease !== lease);
    if (rest.length > 0) this.former.set(vip, rest);
    else this.former.delete(vip);
    const vips = this.byLease.get(lease);
    vips?.delete(vip);
    if (vips?.size !== 0) return;
    this.byLease.delete(lease);
    this.parts.campaigns.leave(lease, heirOf(lease));
  }

  private arm(): void {
    if (this.timer !== undefined || this.former.size === 0) return;
    this.timer = this.parts.clock.after('services-succession', sweepMs, () => {
      this.timer = undefined;
      this.sweep();
      this.arm();
    });
  }

  private sweep(): void {
    const freed = new Set<ServiceKey>();
    for (const [vip, formers] of [...this.former]) {
      const over = formers.filter((each) => this.isOver(vip, each));
      for (const { lease } of over) this.forget(vip, lease);
      if (over.length === 0 || this.former.has(vip)) continue;
      for (const key of this.free(vip)) freed.add(key);
    }
    if (freed.size > 0) this.parts.look(freed);
  }
}

/** A member of a campaign that stands for no Service: no namespace has this name. */
function heirOf(lease: LeaseKey): ServiceKey {
  return `(heir)/${lease}`;
}

/** Not a Service, but an heir. */
export function isHeir(member: ServiceKey): boolean {
  return member.startsWith('(heir)/');
}
