import type { Clock, Timer } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Campaigns } from './campaigns.ts';
import type { LeaseKey, ServiceKey } from './types.ts';

export interface SuccessionParts {
  readonly campaigns: Campaigns;
  readonly clock: Clock;
  /** These may have an address now that they had to wait for. */
  readonly freed: (keys: Iterable<ServiceKey>) => void;
}

interface Claimed {
  readonly lease: LeaseKey;
  readonly vips: readonly Ip[];
}

/** A lease that decided about an address until a moment ago; its holder may still have that. */
interface Former {
  readonly lease: LeaseKey;
  /** Monotonic milliseconds; whoever held it has lost it by then, connected or not. */
  readonly until: number;
}

/**
 * Keeps a holder from taking an address over before the holder of the address's former lease can have let go:
 *
 *   another lease decides (a Service got the address of another, was deleted, shares it from now on)
 *     └─ this node holds the new one, and did not hold the former: it follows the former lease as its heir
 *          ├─ nobody holds that, or this node has it ──► the address is taken
 *          └─ a lease duration has passed            ──► the address is taken
 *
 * A healthy former holder releases in the moment in which it sees the change; one that is cut off keeps the
 * address until its renew deadline.
 */
export class Succession {
  private readonly parts: SuccessionParts;
  private readonly leaseDurationMs: number;
  private readonly claims = new Map<ServiceKey, Claimed>();
  private readonly deciding = new Map<Ip, { lease: LeaseKey; users: number }>();
  /** The entry that ends first comes first. */
  private readonly former = new Map<Ip, readonly Former[]>();
  private readonly byLease = new Map<LeaseKey, Set<Ip>>();
  private readonly waiting = new Map<Ip, Set<ServiceKey>>();
  private timer: Timer | undefined;

  constructor(parts: SuccessionParts, leaseDurationMs: number) {
    this.parts = parts;
    this.leaseDurationMs = leaseDurationMs;
  }

  /** What the Service claims, and the lease that decides about it; to be told before anything is done about it. */
  observe(key: ServiceKey, claimed: Claimed | undefined): void {
    const before = this.claims.get(key);
    if (claimed === undefined) this.claims.delete(key);
    else this.claims.set(key, claimed);
    if (claimed !== undefined) for (const vip of claimed.vips) this.enter(vip, claimed.lease);
    for (const vip of before?.vips ?? []) this.leave(vip);
  }

  /** May the holder of `lease` have the address? If not, the Service is told when it may. */
  mayTake(key: ServiceKey, vip: Ip, lease: LeaseKey): boolean {
    const now = this.parts.clock.now();
    const others = this.formersOf(vip).filter((each) => each.lease !== lease && now < each.until);
    if (others.length === 0) return true;
    for (const each of others) this.parts.campaigns.join(each.lease, heirOf(each.lease), 0);
    const waiting = this.waiting.get(vip);
    if (waiting === undefined) this.waiting.set(vip, new Set([key]));
    else waiting.add(key);
    return false;
  }

  /** Nobody holds this lease, or this node does. */
  released(lease: LeaseKey): void {
    const freed = new Set<ServiceKey>();
    for (const vip of [...(this.byLease.get(lease) ?? [])]) this.forget(vip, lease, freed);
    if (freed.size > 0) this.parts.freed(freed);
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

  private ended(vip: Ip, lease: LeaseKey): void {
    const campaign = this.parts.campaigns.get(lease);
    if (campaign?.fence?.holds() === true || campaign?.holder === '') return;
    const rest = this.formersOf(vip).filter((each) => each.lease !== lease);
    this.former.delete(vip);
    this.former.set(vip, [...rest, { lease, until: this.parts.clock.now() + this.leaseDurationMs }]);
    const vips = this.byLease.get(lease);
    if (vips === undefined) this.byLease.set(lease, new Set([vip]));
    else vips.add(vip);
    this.arm();
  }

  private formersOf(vip: Ip): readonly Former[] {
    return this.former.get(vip) ?? [];
  }

  private forget(vip: Ip, lease: LeaseKey, freed: Set<ServiceKey>): void {
    const rest = this.formersOf(vip).filter((each) => each.lease !== lease);
    const vips = this.byLease.get(lease);
    vips?.delete(vip);
    if (vips?.size === 0) {
      this.byLease.delete(lease);
      this.parts.campaigns.leave(lease, heirOf(lease));
    }
    if (rest.length > 0) this.former.set(vip, rest);
    else this.former.delete(vip);
    // Who still has to wait for another one says so again.
    for (const key of this.waiting.get(vip) ?? []) freed.add(key);
    this.waiting.delete(vip);
  }

  private arm(): void {
    const [first] = this.former.values();
    const until = first?.at(-1)?.until;
    if (until === undefined || this.timer !== undefined) return;
    this.timer = this.parts.clock.after('services-succession', until - this.parts.clock.now(), () => {
      this.timer = undefined;
      this.expire(this.parts.clock.now());
      this.arm();
    });
  }

  private expire(now: number): void {
    const freed = new Set<ServiceKey>();
    for (const [vip, formers] of [...this.former]) {
      if ((formers.at(-1)?.until ?? 0) > now) break;
      for (const { lease } of formers) this.forget(vip, lease, freed);
    }
    if (freed.size > 0) this.parts.freed(freed);
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
