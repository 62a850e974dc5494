import type { Election, ElectionStatus, LossReason } from '../election/types.ts';
import type { ReflectorListener } from '../kube/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Fence } from '../lib/fence.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { NodeStore, Owner } from '../node/types.ts';
import { Campaigns, type Campaign } from './campaigns.ts';
import { Catalogue, type Entry } from './catalogue.ts';
import { gate, type Claim, type Withhold } from './decide.ts';
import { Notices } from './notices.ts';
import { holderSpecs, placeVip, preservedSpecs, type LocalView, type Place } from './placement.ts';
import { ingressOf, type WantedStatus } from './status-writer.ts';
import type {
  EndpointSlice,
  LeaseKey,
  Service,
  ServiceKey,
  ServicesObserver,
  ServicesOptions,
} from './types.ts';
import { WorkQueue } from './work-queue.ts';

export interface ServicesParts {
  readonly node: NodeStore;
  /** Removes marked VIPs that no spec wants, except those the filter keeps. */
  readonly sweep: (keep: (vip: Ip) => boolean) => void;
  readonly elect: (lease: LeaseKey) => Election;
  readonly local: LocalView;
  /** Where the holder reports what it does. */
  readonly status: {
    want(key: ServiceKey, wanted: WantedStatus): void;
    drop(key: ServiceKey): void;
  };
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ServicesObserver;
}

/** A Service that this node may carry: under which lease, and where its VIPs go. */
interface Advert {
  readonly kind: 'advert';
  readonly entry: Entry;
  readonly lease: LeaseKey;
  readonly places: readonly Place[];
}

/** The VIPs of a Service as this node has them. */
interface Published {
  readonly lease: LeaseKey;
  readonly fence: Fence;
  readonly places: readonly Place[];
  /** Everything that makes a difference, to tell whether anything changed; '' always does. */
  readonly signature: string;
  /** Preserved after the loss of the lease: not announced. */
  readonly silent: boolean;
}

/**
 * The services operator: turns Services, their endpoints and the tenure of leases into specs for this node.
 *
 *   Service or endpoint changed ──► judge ──► withhold: leave its lease, withdraw
 *                                      └────► advertise: join the campaign for its lease
 *   lease acquired ──► publish every member, fenced          lost ──► withdraw every one, at once
 *   lease of a Service changed ──► it stays published under the old lease ("trailing") until the new one
 *                is held here or elsewhere; a node that did not hold the old one waits a lease duration
 *   start ──► nothing is decided before Services and endpoints are listed; leftovers of a predecessor stay
 *                as long as this node may turn out to be their holder
 */
export class ServicesOperator {
  private readonly parts: ServicesParts;
  private readonly options: ServicesOptions;
  private readonly catalogue: Catalogue;
  private readonly campaigns: Campaigns;
  private readonly notices: Notices;
  private readonly work: WorkQueue<ServiceKey>;
  private readonly published = new Map<ServiceKey, Published>();
  /** The lease each Service is a member of. */
  private readonly memberOf = new Map<ServiceKey, LeaseKey>();
  /** Ends the trailing of a Service. */
  private readonly trailers = new Map<ServiceKey, Timer>();
  private synced = { services: false, slices: false };
  private startedAt = 0;
  private hasDecided = false;
  private sweepTimer: Timer | undefined;

  constructor(parts: ServicesParts, options: ServicesOptions) {
    this.parts = parts;
    this.options = options;
    this.catalogue = new Catalogue(options);
    const { clock, log, observer } = parts;
    this.work = new WorkQueue(clock, 'services-work', (key) => {
      this.reconcile(key);
    });
    this.notices = new Notices(clock, observer, () => this.isSpokesman());
    this.campaigns = new Campaigns({
      elect: parts.elect,
      clock,
      acquired: (campaign) => {
        this.acquired(campaign);
      },
      lost: (campaign, reason) => {
        this.lost(campaign, reason);
      },
      observed: (campaign) => {
        this.observed(campaign);
      },
      changed: (lease, change) => observer.campaign?.(lease, change),
      failed: (error) => {
        log.error('an election broke down', { error: messageOf(error) });
      },
    });
  }

  /** Resolves when the signal has aborted, no VIP of a Service is on the node and every lease is released. */
  async run(signal: AbortSignal): Promise<void> {
    this.startedAt = this.parts.clock.now();
    if (!this.options.perServiceElection) this.campaigns.pin(this.options.globalLease);
    this.sweepIn(this.options.leftoverGraceMs);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else
        signal.addEventListener(
          'abort',
          () => {
            resolve();
          },
          { once: true },
        );
    });
    this.work.close();
    this.sweepTimer?.cancel();
    this.notices.close();
    await this.campaigns.stop();
    for (const key of [...this.published.keys()]) this.withdraw(key);
  }

  readonly servicesListener: ReflectorListener<Service> = {
    synced: () => {
      this.listed('services');
    },
    changed: (key, now, before) => {
      this.parts.observer.event?.(before === undefined ? 'ADDED' : 'MODIFIED');
      this.touch(this.catalogue.put(key, now));
    },
    removed: (key) => {
      this.parts.observer.event?.('DELETED');
      this.touch(this.catalogue.remove(key));
    },
  };

  readonly slicesListener: ReflectorListener<EndpointSlice> = {
    synced: () => {
      this.listed('slices');
    },
    changed: (sliceKey, now, before) => {
      // A slice that is given to another Service has left the one before.
      if (before !== undefined) this.catalogue.removeSlice(sliceKey, before);
      this.touchKnown(this.catalogue.putSlice(sliceKey, now));
    },
    removed: (sliceKey, before) => {
      this.touchKnown(this.catalogue.removeSlice(sliceKey, before));
    },
  };

  /** A link came or went, or an own address of this machine did. */
  linksChanged(): void {
    this.touch(this.catalogue.keys());
  }

  /** Gives up everything that is held, and stays out of the races for so long. */
  resign(why: string, pauseMs: number): void {
    this.campaigns.resign(why, pauseMs);
  }

  /** Another station claims this VIP. */
  claimedElsewhere(vip: Ip, link: string, mac: string): void {
    for (const key of this.catalogue.claimants(vip)) {
      const service = this.catalogue.get(key)?.service;
      if (service !== undefined && this.published.has(key)) this.notices.conflict(service, vip, link, mac);
    }
  }

  /** The Services that are advertised by this node. */
  advertised(): readonly ServiceKey[] {
    return [...this.published.keys()];
  }

  leases(): readonly ElectionStatus[] {
    return this.campaigns.statuses();
  }

  /** Why the operator cannot decide anything yet; undefined when it can. */
  waitingFor(): string | undefined {
    if (!this.synced.services) return 'Services have not been listed yet';
    if (!this.synced.slices) return 'EndpointSlices have not been listed yet';
    return this.hasDecided ? undefined : 'Services have not been looked at yet';
  }

  private listed(what: 'services' | 'slices'): void {
    const before = this.synced;
    this.synced = { ...before, [what]: true };
    if (!this.synced.services || !this.synced.slices) return;
    if (!before.services || !before.slices) {
      this.touch(this.catalogue.keys());
      this.work.open();
    }
    this.settleFirst();
  }

  private touch(keys: Iterable<ServiceKey>): void {
    this.work.add(keys);
    if (this.options.debounceMs > 0 && this.hasDecided) this.work.workIn(this.options.debounceMs);
    else this.work.work();
  }

  private touchKnown(key: ServiceKey): void {
    if (this.catalogue.get(key) !== undefined) this.touch([key]);
  }

  /** A failure with one Service is that Service's alone. */
  private reconcile(key: ServiceKey): void {
    const { clock, log, observer } = this.parts;
    const start = clock.now();
    try {
      const verdict = this.judge(key);
      this.settle(key, verdict);
      const failure = verdict?.kind === 'withhold' ? failureOf(verdict) : undefined;
      observer.reconciled?.(key, (clock.now() - start) / 1000, failure);
    } catch (error) {
      log.error('a Service could not be handled', { service: key, error: messageOf(error) });
      observer.reconciled?.(key, (clock.now() - start) / 1000, 'new_instance');
    }
    this.settleFirst();
  }

  private judge(key: ServiceKey): Advert | Withhold | undefined {
    const entry = this.catalogue.get(key);
    if (entry === undefined) return undefined;
    const { claim, service } = entry;
    if (claim.kind === 'withhold') return claim;
    const lease = this.catalogue.leaseFor(entry, claim);
    const mayMove = lease !== this.options.globalLease;
    const slices = this.catalogue.slicesOf(key);
    const obstacle = gate({ service, slices }, this.options.node, mayMove);
    return obstacle ?? this.place(entry, claim, lease);
  }

  /** VIPs that have no place here are left out; with none left there is nothing to advertise. */
  private place(entry: Entry, claim: Claim, lease: LeaseKey): Advert | Withhold {
    const places: Place[] = [];
    let obstacle: Withhold | undefined;
    for (const vip of claim.addresses) {
      const placed = placeVip(vip, claim.link, this.options, this.parts.local);
      if (placed.kind === 'place') places.push(placed);
      else obstacle ??= placed;
    }
    if (obstacle !== undefined) this.notices.withheld(entry, obstacle);
    if (places.length === 0 && obstacle !== undefined) return obstacle;
    return { kind: 'advert', entry, lease, places };
  }

  private settle(key: ServiceKey, verdict: Advert | Withhold | undefined): void {
    if (verdict?.kind !== 'advert') {
      this.withdraw(key);
      this.quit(key);
      const entry = this.catalogue.get(key);
      if (entry !== undefined && verdict !== undefined) this.notices.withheld(entry, verdict);
      else this.notices.forget(key);
      if (entry === undefined) this.parts.observer.gone?.(key);
      return;
    }
    this.notices.advertisable(verdict.entry);
    this.enlist(key, verdict.lease);
    this.apply(key, verdict);
  }

  /** Makes the Service a member of its lease, and of no other. */
  private enlist(key: ServiceKey, lease: LeaseKey): void {
    const before = this.memberOf.get(key);
    if (before === lease) return;
    this.memberOf.set(key, lease);
    const former = before === undefined ? undefined : this.campaigns.get(before);
    const heldElsewhere = former !== undefined && former.fence === undefined && (former.holder ?? '') !== '';
    if (former !== undefined) former.members.delete(key);
    if (former !== undefined && this.published.get(key)?.lease === before) this.trail(key, former);
    this.campaigns.join(lease, key, heldElsewhere ? this.options.leaseDurationMs : 0);
    if (before !== undefined && this.published.get(key)?.lease !== before) this.campaigns.leave(before, key);
  }

  /**
   * Keeps the Service published under a lease that is not its own any more. Others stay out of the new
   * lease's race for a lease duration, so this must end before: at the renew deadline.
   */
  private trail(key: ServiceKey, former: Campaign): void {
    former.trailing.add(key);
    this.trailers.get(key)?.cancel();
    const timer = this.parts.clock.after('services-trailing', this.options.renewDeadlineMs, () => {
      this.withdraw(key);
    });
    this.trailers.set(key, timer);
  }

  private apply(key: ServiceKey, advert: Advert): void {
    const { lease, places, entry } = advert;
    const campaign = this.campaigns.get(lease);
    const before = this.published.get(key);
    if (campaign?.fence !== undefined) {
      this.publish(key, advert, campaign.fence);
      if (before !== undefined && this.trailers.has(key)) this.stopTrailing(key, before.lease);
    } else if (before !== undefined) {
      const isHeldElsewhere = (campaign?.holder ?? '') !== '' && campaign?.holder !== this.options.node;
      const mayStay = before.silent || (before.lease !== lease && this.trailers.has(key));
      if (isHeldElsewhere || !mayStay) this.withdraw(key);
      else this.restrict(key, before, new Set(places.map(({ vip }) => vip)));
    }
    if (this.published.get(key)?.silent === false && this.options.writeStatus) {
      const ingress = ingressOf(
        entry.service,
        places.map(({ vip }) => vip),
      );
      this.parts.status.want(key, { ingress, vipHost: this.options.node });
    }
  }

  private publish(key: ServiceKey, { lease, places }: Advert, fence: Published['fence']): void {
    const before = this.published.get(key);
    const signature = places.map(({ vip, link, prefixLength }) => `${vip}/${prefixLength} ${link}`).join();
    if (before?.fence === fence && before.signature === signature && !before.silent) return;
    this.parts.node.publish(ownerOf(key), holderSpecs(places, this.options, fence));
    this.published.set(key, { lease, fence, places, signature, silent: false });
    if (before === undefined) {
      this.parts.observer.advertising?.(key, true);
      this.parts.log.info('this node advertises the Service', { service: key, vip: vipNames(places), lease });
    }
  }

  /** What is published without tenure of the Service's own lease may shrink, never grow. */
  private restrict(key: ServiceKey, before: Published, vips: ReadonlySet<Ip>): void {
    const places = before.places.filter(({ vip }) => vips.has(vip));
    if (places.length === before.places.length) return;
    if (places.length === 0) {
      this.withdraw(key);
      return;
    }
    const specs = before.silent
      ? preservedSpecs(places, this.options)
      : holderSpecs(places, this.options, before.fence);
    this.parts.node.publish(ownerOf(key), specs);
    this.published.set(key, { ...before, places, signature: '' });
  }

  /** The VIPs first: nothing may stand between this call and the addresses leaving the link. */
  private withdraw(key: ServiceKey, reason?: LossReason): void {
    const before = this.published.get(key);
    if (before === undefined) return;
    this.parts.node.withdraw(ownerOf(key));
    this.published.delete(key);
    this.parts.status.drop(key);
    this.parts.observer.advertising?.(key, false);
    const fields = { service: key, vip: vipNames(before.places), lease: before.lease };
    this.parts.log.info('this node ceased to advertise the Service', {
      ...fields,
      ...(reason === undefined ? {} : { reason }),
    });
    if (this.trailers.has(key)) this.stopTrailing(key, before.lease);
  }

  private stopTrailing(key: ServiceKey, lease: LeaseKey): void {
    this.trailers.get(key)?.cancel();
    this.trailers.delete(key);
    this.campaigns.get(lease)?.trailing.delete(key);
    if (this.memberOf.get(key) !== lease) this.campaigns.leave(lease, key);
  }

  /** The Service needs no lease any more. */
  private quit(key: ServiceKey): void {
    const lease = this.memberOf.get(key);
    this.memberOf.delete(key);
    if (lease !== undefined) this.campaigns.leave(lease, key);
  }

  private acquired({ lease, members }: Campaign): void {
    this.parts.observer.campaign?.(lease, 'acquired');
    this.touch(members);
    // Not even a debounced change may keep a VIP from the network now.
    this.work.work();
    this.sweepIn(0);
  }

  private lost(campaign: Campaign, reason: LossReason): void {
    const { lease, members, trailing } = campaign;
    for (const key of [...members, ...trailing]) {
      const before = this.published.get(key);
      if (before?.lease !== lease) continue;
      if (this.options.preserve && reason !== 'released') this.silence(key, before);
      else this.withdraw(key, reason);
    }
    this.parts.observer.campaign?.(lease, 'lost', reason);
  }

  private silence(key: ServiceKey, before: Published): void {
    const specs = preservedSpecs(before.places, this.options);
    if (specs.length === 0) {
      this.withdraw(key);
      return;
    }
    this.parts.node.publish(ownerOf(key), specs);
    this.parts.status.drop(key);
    this.published.set(key, { ...before, silent: true, signature: '' });
  }

  private observed({ holder, members }: Campaign): void {
    this.sweepIn(0);
    if (holder === '' || holder === this.options.node) return;
    // What trails behind this lease, or was preserved for it, now has another holder.
    const stale = [...members].filter((key) => this.published.has(key));
    if (stale.length > 0) this.touch(stale);
    this.work.work();
  }

  private settleFirst(): void {
    if (this.hasDecided || this.work.size > 0 || !this.synced.services || !this.synced.slices) return;
    this.hasDecided = true;
    this.sweepIn(0);
  }

  private sweepIn(ms: number): void {
    if (this.sweepTimer !== undefined && ms > 0) return;
    this.sweepTimer?.cancel();
    this.sweepTimer = this.parts.clock.after('services-sweep', ms, () => {
      this.sweepTimer = undefined;
      this.sweep();
    });
  }

  private sweep(): void {
    const kept: Ip[] = [];
    this.parts.sweep((vip) => {
      const keep = this.mayBeOurs(vip);
      if (keep) kept.push(vip);
      return keep;
    });
    if (kept.length > 0) this.sweepIn(this.options.leftoverGraceMs);
  }

  /**
   * A leftover stays while this node may still turn out to be the holder of a Service that wants it: the
   * record names this node or nobody, and there was no time to learn more.
   */
  private mayBeOurs(vip: Ip): boolean {
    const { globalLease, leftoverGraceMs, renewDeadlineMs, node } = this.options;
    if (!this.hasDecided) {
      const holder = this.campaigns.get(globalLease)?.holder ?? '';
      // A restarted holder has its tenure back long before its Services are listed.
      return this.isUnsettled(holder, this.startedAt, holder === node ? renewDeadlineMs : leftoverGraceMs);
    }
    for (const key of this.catalogue.claimants(vip)) {
      const lease = this.memberOf.get(key);
      const campaign = lease === undefined ? undefined : this.campaigns.get(lease);
      if (campaign === undefined || this.published.has(key)) continue;
      if (this.isUnsettled(campaign.holder ?? '', campaign.startedAt, leftoverGraceMs)) return true;
    }
    return false;
  }

  private isUnsettled(holder: string, since: number, patienceMs: number): boolean {
    const mayBeNode = holder === '' || holder === this.options.node;
    return mayBeNode && this.parts.clock.now() < since + patienceMs;
  }

  /** Where all nodes see the same trouble, one of them speaks of it. */
  private isSpokesman(): boolean {
    const global = this.campaigns.get(this.options.globalLease);
    return global === undefined || global.fence !== undefined;
  }
}

function ownerOf(key: ServiceKey): Owner {
  return `service/${key}` as Owner;
}

function vipNames(places: readonly Place[]): string {
  return places.map(({ vip }) => vip).join();
}

function failureOf({ reason }: Withhold): 'invalid_config' | 'new_instance' | undefined {
  if (reason === 'lease-policy' || reason === 'not-implemented') return 'invalid_config';
  return reason === 'no-link' || reason === 'address-in-use' ? 'new_instance' : undefined;
}
