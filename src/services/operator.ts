import type { Election, ElectionStatus } from '../election/types.ts';
import type { ReflectorListener } from '../kube/types.ts';
import { aborted } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { BulkNodeStore, Holding } from '../node/types.ts';
import { Catalogue, type Entry } from './catalogue.ts';
import { concernedBy } from './concerned.ts';
import { leaseBefore, vipHostOf } from './decide.ts';
import { Handling } from './handling.ts';
import { Judge } from './judge.ts';
import { Leftovers } from './leftovers.ts';
import { Names, type ResolveName } from '../lib/names.ts';
import { Notices } from './notices.ts';
import type { LocalChange, LocalView } from './placement.ts';
import { Offers } from './offers.ts';
import { Settling } from './settling.ts';
import { describeService, type ServiceReport } from './report.ts';
import type { ViewSource } from './services-view.ts';
import { Reporting, type StatusSink } from './reporting.ts';
import { Tenure } from './tenure.ts';
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
  readonly node: Pick<BulkNodeStore, 'publishAll'>;
  /** Removes marked VIPs that no spec wants, except those the filter keeps. */
  readonly sweep: (keep: (vip: Ip) => boolean) => void;
  readonly elect: (lease: LeaseKey) => Election;
  readonly local: LocalView;
  readonly status: StatusSink;
  readonly resolve: ResolveName;
  /** What the copy of the Services, of which `servicesListener` is told, is worth. */
  readonly view: ViewSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ServicesObserver;
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
  private readonly names: Names<ServiceKey>;
  private readonly catalogue: Catalogue;
  private readonly tenure: Tenure;
  private readonly notices: Notices;
  private readonly settling: Settling;
  private readonly offers: Offers;
  private readonly work: WorkQueue<ServiceKey>;
  private readonly handling: Handling;
  private readonly reporting: Reporting;
  private leftovers: Leftovers | undefined;
  private synced = { services: false, slices: false };
  private hasDecided = false;

  constructor(parts: ServicesParts, options: ServicesOptions) {
    const { clock, log, observer } = parts;
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
    const handle = (key: ServiceKey): void => this.handling.handle(key);
    this.work = new WorkQueue(clock, 'services-work', handle, (work) => {
      this.tenure.batch(work);
      this.reporting.flush();
      this.settleFirst();
    });
    const touchKnown = (key: ServiceKey): void => {
      this.touchKnown(key);
    };
    this.settling = new Settling(clock, touchKnown);
    this.offers = new Offers(clock, touchKnown);
    const leases = {
      decides: ({ key }: Entry) => this.catalogue.claimed(key)?.lease,
      holderOf: (lease: LeaseKey) => this.tenure.holderOf(lease),
    };
    this.notices = new Notices(clock, observer, options, leases, () => this.tenure.isSpokesman());
    const { catalogue, notices, offers, settling } = this;
    this.reporting = new Reporting({ ...parts, notices }, options);
    const judge = new Judge(
      {
        catalogue,
        settling,
        offers,
        local: parts.local,
        holds: (key) => this.tenure.get(key) !== undefined,
        withheld: (entry, why) => {
          notices.withheld(entry, why);
        },
      },
      options,
    );
    this.tenure = new Tenure(
      {
        ...parts,
        look: (keys) => {
          this.work.add(keys);
          this.work.work();
        },
        learned: () => {
          this.leftovers?.sweepSoon();
          const untold = notices.takeUntold();
          if (untold.length > 0) this.touch(untold);
        },
        ceased: (key) => {
          this.reporting.ceased(key);
        },
      },
      options,
    );
    const { reporting, tenure } = this;
    this.handling = new Handling({
      ...parts,
      catalogue,
      offers,
      settling,
      judge,
      notices,
      reporting,
      tenure,
    });
  }

  /** Resolves when the signal has aborted, no VIP of a Service is on the node and every lease is released. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, sweep } = this.parts;
    this.tenure.start();
    const mayBeOurs = (vip: Ip): boolean => this.mayBeOurs(vip);
    this.leftovers = new Leftovers({ sweep, mayBeOurs, clock }, this.options.leftoverGraceMs);
    await aborted(signal);
    this.work.close();
    this.leftovers.close();
    // Whatever was not known yet: nobody is left who could find out.
    sweep(() => false);
    this.names.close();
    this.notices.close();
    this.settling.close();
    this.offers.close();
    await this.tenure.stop();
  }

  /** No VIP of a Service is on the node on return: the process ends at once, whatever it was waiting for. */
  withdrawNow(): void {
    this.tenure.withdrawNow();
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
      this.claimsChanged(this.catalogue.remove(key));
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

  /** Links or own addresses of this machine came or went; undefined: nobody knows which. */
  linksChanged(change: LocalChange | undefined): void {
    this.touch(concernedBy(change, this.catalogue, this.options));
  }

  /** These addresses became a node's own, or no longer are. */
  nodesChanged(addresses: readonly Ip[]): void {
    this.touch(addresses.flatMap((address) => [...this.catalogue.claimants(address)]));
  }

  /** Gives up everything that is held, and stays out of the races for so long. */
  resign(why: string, pauseMs: number): void {
    this.tenure.resign(why, pauseMs);
  }

  /** Another station claims this VIP. */
  claimedElsewhere(vip: Ip, link: string, mac: string): void {
    const claimants = this.catalogue.claimants(vip);
    for (const key of claimants) {
      const service = this.catalogue.get(key)?.service;
      if (service !== undefined && this.tenure.get(key) !== undefined)
        this.notices.conflict(service, vip, link, mac);
    }
    this.tenure.claimedElsewhere(vip, claimants);
  }

  /** Nothing leads to this VIP on this node for now, for this reason; undefined: that is over. */
  heldBack(vip: Ip, by: Holding, problem: string | undefined): void {
    this.reporting.heldBack(vip, by, problem);
    this.touch(this.catalogue.claimants(vip));
  }

  /**
   * Is a route of ours to this VIP, which no spec wants, a predecessor's? `seesAll`: this process sees every Service;
   * else only VIPs of those it sees are judged, for the others may be another instance's.
   */
  isStray(vip: Ip, seesAll: boolean): boolean {
    if (!this.hasDecided) return false;
    return this.isClaimed(vip) || (seesAll && !this.catalogue.mayBeOthers(vip));
  }

  /** Is it the VIP of a Service that this process handles? */
  isClaimed(vip: Ip): boolean {
    return this.catalogue.claimants(vip).size > 0;
  }

  /** The Services that are advertised by this node. */
  advertised(): readonly ServiceKey[] {
    return this.tenure.keys();
  }

  /** Every Service that this process knows, and what becomes of it. */
  *services(): Generator<ServiceReport> {
    for (const key of this.catalogue.keys()) {
      const entry = this.catalogue.get(key);
      if (entry === undefined) continue;
      const slices = [...this.catalogue.slicesOf(key)];
      const published = this.tenure.get(key);
      const lease = this.tenure.leaseOf(key);
      const deciding = lease ?? this.catalogue.claimed(key)?.lease;
      const holder = deciding === undefined ? undefined : this.tenure.holderOf(deciding);
      yield describeService({ entry, slices, published, lease, deciding, holder, node: this.options.node });
    }
  }

  /** Services wait for their turn to be looked at, or to leave the node. */
  isBusy(): boolean {
    return this.work.size > 0 || this.tenure.isWithdrawing();
  }

  leases(): Iterable<ElectionStatus> {
    return this.tenure.statuses();
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
    if (what === 'services') this.tenure.listed();
    if (!this.synced.services || !this.synced.slices) return;
    if (!before.services || !before.slices) {
      this.claimsChanged(this.catalogue.keys());
      this.work.open();
    }
    this.settleFirst();
  }

  private put(key: ServiceKey, service: Service): void {
    const touched = this.catalogue.put(key, service);
    this.names.want(key, this.catalogue.get(key)?.claim.hostnames ?? []);
    this.offers.seen(vipHostOf(service));
    this.claimsChanged(touched);
  }

  private namesChanged(keys: ReadonlySet<ServiceKey>): void {
    for (const key of keys) {
      const service = this.catalogue.get(key)?.service;
      if (service !== undefined) this.claimsChanged(this.catalogue.put(key, service));
    }
  }

  private claimsChanged(keys: Iterable<ServiceKey>): void {
    const touched = [...keys];
    this.observe(touched);
    this.touch(touched);
  }

  /** Not before all are listed: who shares an address with whom is known then. */
  private observe(keys: readonly ServiceKey[]): void {
    const { succession } = this.tenure;
    if (succession === undefined || !this.synced.services || !this.synced.slices) return;
    for (const key of keys) {
      const claimed = this.catalogue.claimed(key);
      const service = this.hasDecided ? this.catalogue.get(key)?.service : undefined;
      const before = claimed && service && leaseBefore(service, claimed.lease, this.options.node);
      succession.observe(key, claimed, before);
    }
  }

  private touch(keys: Iterable<ServiceKey>): void {
    for (const key of keys) {
      this.handling.changed(key);
      this.work.add([key]);
    }
    if (this.options.debounceMs > 0 && this.hasDecided) this.work.workIn(this.options.debounceMs);
    else this.work.work();
  }

  private touchKnown(key: ServiceKey): void {
    if (this.catalogue.get(key) !== undefined) this.touch([key]);
  }

  private settleFirst(): void {
    if (this.hasDecided || this.work.size > 0 || !this.synced.services || !this.synced.slices) return;
    this.hasDecided = true;
    this.leftovers?.sweepSoon();
  }

  /** A leftover stays while this node may still turn out to be the holder of a Service that wants it. */
  private mayBeOurs(vip: Ip): boolean {
    if (!this.hasDecided) return this.tenure.mayHoldAnything();
    for (const key of this.catalogue.claimants(vip)) if (this.tenure.mayHold(key)) return true;
    return false;
  }
}
