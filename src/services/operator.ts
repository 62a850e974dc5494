import type { Election, ElectionStatus, LossReason } from '../election/types.ts';
import type { ReflectorListener } from '../kube/types.ts';
import { aborted } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { familyOf, type Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { BulkNodeStore } from '../node/types.ts';
import { wantedAddresses } from './addresses.ts';
import { Campaigns, type Campaign } from './campaigns.ts';
import { Catalogue, type Entry } from './catalogue.ts';
import { gate, isLocal, type Claim, type Withhold } from './decide.ts';
import { servedFamilies } from './families.ts';
import { guardedPorts } from './guard.ts';
import { Leftovers } from './leftovers.ts';
import { Membership } from './membership.ts';
import { Names, type ResolveName } from './names.ts';
import { Notices } from './notices.ts';
import { placeVip, type LocalView, type Place } from './placement.ts';
import { Publisher } from './publisher.ts';
import { Settling } from './settling.ts';
import { describeService, type ServiceReport } from './report.ts';
import { ingressOf, type WantedStatus } from './status-writer.ts';
import type {
  EndpointSlice,
  LeaseKey,
  ReconcileFailure,
  Service,
  ServiceKey,
  ServicesObserver,
  ServicesOptions,
} from './types.ts';
import { WorkQueue } from './work-queue.ts';

export interface ServicesParts {
  readonly node: Pick<BulkNodeStore, 'publishAll'>;
  /** Removes marked VIPs that no spec wants, except those the filter keeps. */
  readonly sweep: (keep: (vip: Ip) => boolean) => void;
  readonly elect: (lease: LeaseKey) => Election;
  readonly local: LocalView;
  /** Where the holder reports what it does. */
  readonly status: {
    want(key: ServiceKey, wanted: WantedStatus): void;
    drop(key: ServiceKey): void;
  };
  readonly resolve: ResolveName;
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

/**
 * The services operator: turns Services, their endpoints and the tenure of leases into specs for this node.
 *
 *   Service or endpoint changed ──► judge ──► withhold: withdraw, leave its lease
 *                                      └────► advertise: join the campaign for its lease
 *   lease acquired ──► publish every member, fenced          lost ──► withdraw every one, at once
 *   start ──► nothing is decided before Services and endpoints are listed; leftovers of a predecessor stay
 *                as long as this node may turn out to be their holder
 */
export class ServicesOperator {
  private readonly parts: ServicesParts;
  private readonly options: ServicesOptions;
  private readonly names: Names;
  private readonly catalogue: Catalogue;
  private readonly campaigns: Campaigns;
  private readonly membership: Membership;
  private readonly publisher: Publisher;
  private readonly notices: Notices;
  private readonly settling: Settling;
  private readonly work: WorkQueue<ServiceKey>;
  /** Statuses to be written after this turn. */
  private readonly reports = new Map<ServiceKey, WantedStatus>();
  private leftovers: Leftovers | undefined;
  private synced = { services: false, slices: false };
  private startedAt = 0;
  private hasDecided = false;

  constructor(parts: ServicesParts, options: ServicesOptions) {
    const { clock, log, node, observer } = parts;
    this.parts = parts;
    this.options = options;
    this.names = new Names({
      resolve: parts.resolve,
      clock,
      log,
      changed: (keys) => {
        this.namesChanged(keys);
      },
    });
    this.catalogue = new Catalogue(options, this.names);
    const handle = (key: ServiceKey): void => {
      this.reconcile(key);
    };
    this.work = new WorkQueue(clock, 'services-work', handle, (work) => {
      this.publisher.batch(work);
      this.report();
    });
    this.settling = new Settling(clock, (key) => {
      this.touchKnown(key);
    });
    this.notices = new Notices(clock, observer, () => this.isSpokesman());
    this.publisher = new Publisher(
      {
        node,
        log,
        changed: (key, isPublished) => {
          if (!isPublished) this.ceased(key);
          observer.advertising?.(key, isPublished);
        },
      },
      options,
    );
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
    this.membership = new Membership(
      {
        campaigns: this.campaigns,
        clock,
        publishedUnder: (key) => this.publisher.get(key)?.lease,
        overdue: (key) => {
          this.withdraw(key);
        },
      },
      options,
    );
  }

  /** Resolves when the signal has aborted, no VIP of a Service is on the node and every lease is released. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, sweep } = this.parts;
    this.startedAt = clock.now();
    if (!this.options.perServiceElection) this.campaigns.pin(this.options.globalLease);
    const mayBeOurs = (vip: Ip): boolean => this.mayBeOurs(vip);
    this.leftovers = new Leftovers({ sweep, mayBeOurs, clock }, this.options.leftoverGraceMs);
    await aborted(signal);
    this.work.close();
    this.leftovers.close();
    this.names.close();
    this.notices.close();
    this.settling.close();
    this.membership.close();
    await this.campaigns.stop();
    for (const key of this.publisher.keys()) this.publisher.withdraw(key);
  }

  readonly servicesListener: ReflectorListener<Service> = {
    synced: () => {
      this.listed('services');
    },
    changed: (key, now, before) => {
      this.parts.observer.event?.(before === undefined ? 'ADDED' : 'MODIFIED');
      this.put(key, now);
    },
    removed: (key) => {
      this.parts.observer.event?.('DELETED');
      this.names.want(key, []);
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

  /** These addresses became a node's own, or no longer are. */
  nodesChanged(addresses: readonly Ip[]): void {
    this.touch(addresses.flatMap((address) => [...this.catalogue.claimants(address)]));
  }

  /** Gives up everything that is held, and stays out of the races for so long. */
  resign(why: string, pauseMs: number): void {
    this.campaigns.resign(why, pauseMs);
  }

  /** Another station claims this VIP. */
  claimedElsewhere(vip: Ip, link: string, mac: string): void {
    for (const key of this.catalogue.claimants(vip)) {
      const service = this.catalogue.get(key)?.service;
      if (service !== undefined && this.publisher.get(key) !== undefined)
        this.notices.conflict(service, vip, link, mac);
    }
  }

  /** The Services that are advertised by this node. */
  advertised(): readonly ServiceKey[] {
    return this.publisher.keys();
  }

  /** Every Service that this process knows, and what becomes of it. */
  services(): readonly ServiceReport[] {
    return [...this.catalogue.keys()].flatMap((key) => {
      const entry = this.catalogue.get(key);
      if (entry === undefined) return [];
      const slices = [...this.catalogue.slicesOf(key)];
      const published = this.publisher.get(key);
      const lease = this.membership.leaseOf(key);
      const holder = lease === undefined ? undefined : this.campaigns.get(lease)?.holder;
      return [describeService({ entry, slices, published, lease, holder, node: this.options.node })];
    });
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

  private put(key: ServiceKey, service: Service): void {
    const touched = this.catalogue.put(key, service);
    // Only those of Services that are ours to handle.
    const isOurs = this.catalogue.isHandled(key);
    this.names.want(key, isOurs ? wantedAddresses(service).hostnames : []);
    this.touch(touched);
  }

  private namesChanged(keys: ReadonlySet<ServiceKey>): void {
    for (const key of keys) {
      const service = this.catalogue.get(key)?.service;
      if (service !== undefined) this.touch(this.catalogue.put(key, service));
    }
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
      const failure = this.catalogue.get(key) === undefined ? 'delete_service' : 'service_context';
      observer.reconciled?.(key, (clock.now() - start) / 1000, failure);
    }
  }

  private judge(key: ServiceKey): Advert | Withhold | undefined {
    const entry = this.catalogue.get(key);
    if (entry === undefined) return undefined;
    const { claim, service } = entry;
    if (claim.kind === 'withhold') return claim;
    const lease = this.catalogue.leaseFor(entry, claim);
    const mayMove = isLocal(service) && lease !== this.options.globalLease;
    const slices = [...this.catalogue.slicesOf(key)];
    const isSettled = mayMove ? this.settling.observe(key, slices) : () => true;
    const obstacle = gate({ service, slices }, this.options.node, { mayMove, isSettled });
    return obstacle ?? this.place(entry, claim, lease, slices);
  }

  /** VIPs that have no place here are left out; with none left there is nothing to advertise. */
  private place(
    entry: Entry,
    claim: Claim,
    lease: LeaseKey,
    slices: readonly EndpointSlice[],
  ): Advert | Withhold {
    const { node, reach } = this.options;
    const served = reach !== 'layer2' ? servedFamilies(entry.service, slices, node) : undefined;
    const places: Place[] = [];
    let obstacle: Withhold | undefined;
    for (const vip of claim.addresses) {
      if (served?.has(familyOf(vip)) === false) {
        obstacle ??= noEndpointsFor(vip);
        continue;
      }
      const placed = placeVip(vip, claim.link, this.options, this.parts.local);
      if (placed.kind === 'place') places.push({ ...placed, fromName: claim.fromNames.has(vip) });
      else obstacle ??= placed;
    }
    if (obstacle !== undefined) this.notices.withheld(entry, obstacle);
    if (places.length === 0 && obstacle !== undefined) return obstacle;
    return { kind: 'advert', entry, lease, places };
  }

  private settle(key: ServiceKey, verdict: Advert | Withhold | undefined): void {
    if (verdict?.kind === 'advert') {
      this.notices.advertisable(verdict.entry, this.options.guarded);
      this.membership.enlist(key, verdict.lease);
      this.parts.observer.electing?.(key, verdict.lease);
      this.apply(key, verdict);
      return;
    }
    this.withdraw(key);
    this.membership.quit(key);
    this.parts.observer.electing?.(key, undefined);
    const entry = this.catalogue.get(key);
    if (entry === undefined) {
      this.settling.forget(key);
      this.notices.forget(key);
      this.parts.observer.gone?.(key);
    } else if (verdict !== undefined) this.notices.withheld(entry, verdict);
  }

  private apply(key: ServiceKey, { lease, places, entry }: Advert): void {
    const campaign = this.campaigns.get(lease);
    const before = this.publisher.get(key);
    if (campaign?.fence !== undefined) {
      const { fence } = campaign;
      const ports = this.options.guarded ? guardedPorts(entry.service) : undefined;
      this.publisher.publish(key, { lease, places, ports, fence });
      this.membership.settle(key);
    } else if (before !== undefined) {
      const mayStay = before.silent || this.membership.isTrailing(key);
      if (mayStay && !this.isHeldElsewhere(campaign))
        this.publisher.restrict(key, before, new Set(places.map(({ vip }) => vip)));
      else this.withdraw(key);
    }
    if (this.publisher.get(key)?.silent !== false) return;
    const vips = places.map(({ vip }) => vip);
    this.parts.observer.provides?.(key, vips);
    if (!this.options.writeStatus) return;
    // With routes, and peers that know them, a VIP has no single host.
    const vipHost = this.options.reach === 'layer2' ? this.options.node : undefined;
    this.reports.set(key, { ingress: ingressOf(entry.service, vips), vipHost });
  }

  /** Once the network is served. */
  private report(): void {
    for (const [key, wanted] of this.reports) this.parts.status.want(key, wanted);
    this.reports.clear();
    this.settleFirst();
  }

  private withdraw(key: ServiceKey, reason?: LossReason): void {
    this.reports.delete(key);
    this.publisher.withdraw(key, reason);
    this.membership.settle(key);
  }

  private isHeldElsewhere(campaign: Campaign | undefined): boolean {
    const holder = campaign?.holder ?? '';
    return holder !== '' && holder !== this.options.node;
  }

  private acquired({ lease, members }: Campaign): void {
    this.parts.observer.campaign?.(lease, 'acquired');
    this.work.add(members);
    this.work.work();
    this.leftovers?.sweepSoon();
  }

  private lost({ lease, members, trailing }: Campaign, reason: LossReason): void {
    const held = [...members, ...trailing].filter((key) => this.publisher.get(key)?.lease === lease);
    if (this.options.preserve && reason !== 'released') {
      this.publisher.batch(() => {
        for (const key of held) this.silence(key);
      });
    } else this.publisher.withdrawAll(held, reason);
    for (const key of held) {
      this.reports.delete(key);
      if (this.publisher.get(key) === undefined) this.membership.settle(key);
    }
    this.parts.observer.campaign?.(lease, 'lost', reason);
  }

  private silence(key: ServiceKey): void {
    const before = this.publisher.get(key);
    if (before !== undefined) this.publisher.silence(key, before);
    this.ceased(key);
  }

  private ceased(key: ServiceKey): void {
    this.parts.status.drop(key);
    this.parts.observer.provides?.(key, []);
  }

  private observed(campaign: Campaign): void {
    this.leftovers?.sweepSoon();
    if (!this.isHeldElsewhere(campaign)) return;
    // What trails behind this lease, or was preserved for it, has another holder now.
    this.work.add([...campaign.members].filter((key) => this.publisher.get(key) !== undefined));
    this.work.work();
  }

  private settleFirst(): void {
    if (this.hasDecided || this.work.size > 0 || !this.synced.services || !this.synced.slices) return;
    this.hasDecided = true;
    this.leftovers?.sweepSoon();
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
      const lease = this.membership.leaseOf(key);
      const campaign = lease === undefined ? undefined : this.campaigns.get(lease);
      if (campaign === undefined || this.publisher.get(key) !== undefined) continue;
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

function noEndpointsFor(vip: Ip): Withhold {
  const message = `no serving endpoint of the family of ${vip}`;
  return { kind: 'withhold', reason: 'no-endpoints', message };
}

function failureOf({ reason }: Withhold): ReconcileFailure | undefined {
  if (reason === 'lease-policy' || reason === 'not-implemented' || reason === 'invalid-address')
    return 'invalid_config';
  return reason === 'no-link' || reason === 'address-in-use' ? 'new_instance' : undefined;
}
