import type { Election, ElectionStatus, LossReason } from '../election/types.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { BulkNodeStore } from '../node/types.ts';
import { Campaigns, type Campaign } from './campaigns.ts';
import { guardedPorts } from './guard.ts';
import type { Advert } from './judge.ts';
import { Membership } from './membership.ts';
import { Publisher, type Published } from './publisher.ts';
import type { Place } from './placement.ts';
import { ServicesView, viewAgeMs, type ViewSource } from './services-view.ts';
import { isHeir, Succession } from './succession.ts';
import type { LeaseKey, ServiceKey, ServicesObserver, ServicesOptions } from './types.ts';

export interface TenureParts {
  readonly node: Pick<BulkNodeStore, 'publishAll'>;
  readonly elect: (lease: LeaseKey) => Election;
  readonly view: ViewSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ServicesObserver;
  /** Another verdict, or the same under another tenure, may be right for these now. */
  readonly look: (keys: Iterable<ServiceKey>) => void;
  /** More is known about who holds what. */
  readonly learned: () => void;
  /** This node advertises the Service no more; if its addresses stay, then in silence. */
  readonly ceased: (key: ServiceKey) => void;
}

/**
 * What this node carries, and by what right: the campaigns for the leases of Services, and the specs of
 * those whose lease it holds. What a loss takes away is off the node when the election's call returns.
 */
export class Tenure {
  private readonly parts: TenureParts;
  private readonly options: ServicesOptions;
  private readonly campaigns: Campaigns;
  private readonly membership: Membership;
  private readonly publisher: Publisher;
  /** To be told of each change of claims. Undefined where an address on two nodes for a moment hurts nobody, or one lease decides about all. */
  readonly succession: Succession | undefined;
  private readonly view: ServicesView;
  private startedAt = 0;

  constructor(parts: TenureParts, options: ServicesOptions) {
    const { clock, log, node, observer } = parts;
    this.parts = parts;
    this.options = options;
    this.publisher = new Publisher(
      {
        node,
        clock,
        log,
        changed: (key, isPublished) => {
          if (!isPublished) parts.ceased(key);
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
      withdrawn: () => this.publisher.withdrawn(),
      observed: (campaign) => {
        this.observed(campaign);
      },
      changed: (lease, change) => observer.campaign?.(lease, change),
      failed: (error) => {
        log.error('an election broke down', { error: messageOf(error) });
      },
    });
    const { reach, perServiceElection, electionOnDemand } = options;
    if (reach === 'layer2' && (perServiceElection || electionOnDemand))
      this.succession = new Succession({ campaigns: this.campaigns, clock, look: parts.look });
    this.view = new ServicesView({
      source: parts.view,
      clock,
      current: parts.look,
      stuck: (keys) => {
        this.makeWay(keys);
      },
    });
    this.membership = new Membership(
      {
        campaigns: this.campaigns,
        clock,
        publishedUnder: (key) => this.publisher.get(key)?.lease,
        overdue: (key) => {
          this.withdraw(key);
          parts.look([key]);
        },
      },
      options,
    );
  }

  start(): void {
    this.startedAt = this.parts.clock.now();
    if (!this.options.perServiceElection) this.campaigns.pin(this.options.globalLease);
  }

  /** Resolves when no VIP of a Service is on the node and every lease is released. */
  async stop(): Promise<void> {
    this.membership.close();
    this.succession?.close();
    this.view.close();
    const released = this.campaigns.stop();
    // What was preserved for the next holder does not wait for an API server that answers nothing.
    this.publisher.withdrawAll(this.publisher.keys());
    await this.publisher.withdrawn();
    await released;
  }

  /** What is being withdrawn, and everything else, is off the node on return: the process ends at once. */
  withdrawNow(): void {
    this.publisher.withdrawAll(this.publisher.keys());
    this.publisher.finish();
  }

  /** What is carried in this call goes to the node together, at its end at the latest. */
  batch(work: () => void): void {
    this.publisher.batch(work);
  }

  /** Of very many that leave the node some are still there. */
  isWithdrawing(): boolean {
    return this.publisher.isWithdrawing();
  }

  get(key: ServiceKey): Published | undefined {
    return this.publisher.get(key);
  }

  keys(): readonly ServiceKey[] {
    return this.publisher.keys();
  }

  leaseOf(key: ServiceKey): LeaseKey | undefined {
    return this.membership.leaseOf(key);
  }

  holderOf(lease: LeaseKey): string | undefined {
    return this.campaigns.get(lease)?.holder;
  }

  statuses(): Iterable<ElectionStatus> {
    return this.campaigns.statuses();
  }

  resign(why: string, pauseMs: number): void {
    this.campaigns.resign(why, pauseMs);
  }

  /** All Services have been listed. */
  listed(): void {
    this.view.listed();
  }

  /**
   * Another station says that it has a VIP of these. A node that may have missed something yields; one that has not
   * looks whether it has.
   */
  claimedElsewhere(vip: Ip, keys: Iterable<ServiceKey>): void {
    if (this.succession === undefined) return;
    const published = [...keys].filter((key) => this.publisher.get(key)?.silent === false);
    if (published.length === 0) return;
    if (this.view.isCurrent()) this.view.doubt();
    else for (const key of published) this.yield(key, vip);
  }

  /** Joins the race for its lease, and publishes what the tenure allows. */
  carry(key: ServiceKey, { lease, places, entry, hosts }: Advert): void {
    this.membership.enlist(key, lease, hosts);
    this.parts.observer.electing?.(key, lease);
    const campaign = this.campaigns.get(lease);
    const before = this.publisher.get(key);
    if (campaign?.fence !== undefined) {
      const { fence } = campaign;
      const known = before?.fence === fence && !before.silent ? before.places : [];
      const wanted = this.placesFor(key, lease, places, known);
      if (wanted === undefined) return;
      if (before !== undefined && this.mustTrail(key, before, places, wanted)) {
        this.restrict(key, before, places);
        return;
      }
      const ports = this.options.guarded ? guardedPorts(entry.service) : undefined;
      if (wanted.length > 0) this.publisher.publish(key, { lease, places: wanted, ports, fence });
      else this.publisher.withdraw(key);
      this.membership.settle(key);
      return;
    }
    const mayStay = before?.silent === true || this.membership.isTrailing(key);
    if (before !== undefined && mayStay && !this.isHeldElsewhere(campaign)) {
      this.restrict(key, before, places);
      return;
    }
    if (before !== undefined) this.withdraw(key);
    this.succession?.gaveUp(key);
  }

  /** It is not to be advertised from here: off the node, and out of the race. */
  giveUp(key: ServiceKey): void {
    this.withdraw(key);
    this.membership.quit(key);
    this.succession?.gaveUp(key);
    this.parts.observer.electing?.(key, undefined);
  }

  /** Nothing is decided yet: this node may turn out to be the holder of everything. */
  mayHoldAnything(): boolean {
    const { globalLease, leftoverGraceMs, renewDeadlineMs, node } = this.options;
    const holder = this.holderOf(globalLease) ?? '';
    // A restarted holder has its tenure back long before its Services are listed.
    return this.isUnsettled(holder, this.startedAt, holder === node ? renewDeadlineMs : leftoverGraceMs);
  }

  /**
   * This node may still turn out to be its holder, and has not published it: the record names this node or
   * nobody, and there was no time to learn more.
   */
  mayHold(key: ServiceKey): boolean {
    const lease = this.membership.leaseOf(key);
    const campaign = lease === undefined ? undefined : this.campaigns.get(lease);
    if (campaign === undefined || this.publisher.get(key) !== undefined) return false;
    return this.isUnsettled(campaign.holder ?? '', campaign.startedAt, this.options.leftoverGraceMs);
  }

  /** Where all nodes see the same trouble, one of them speaks of it. */
  isSpokesman(): boolean {
    const global = this.campaigns.get(this.options.globalLease);
    return global === undefined || global.fence !== undefined;
  }

  /**
   * Where it may be, of where it is wanted and its lease is held. What it has already it keeps; nothing is taken on old
   * news. Undefined: it has nothing by this tenure, and what it has by another one stays as it is until there is news.
   */
  private placesFor(
    key: ServiceKey,
    lease: LeaseKey,
    wanted: readonly Place[],
    known: readonly Place[],
  ): readonly Place[] | undefined {
    const { succession, view } = this;
    if (succession === undefined) return wanted;
    const has = new Set(known.map(({ vip }) => vip));
    const isOld = !wanted.every(({ vip }) => has.has(vip)) && !view.isCurrent();
    if (isOld) view.await(key);
    if (isOld && known.length === 0) return undefined;
    const allowed = isOld ? wanted.filter(({ vip }) => has.has(vip)) : wanted;
    return allowed.filter(({ vip }) => succession.mayTake(key, vip, lease));
  }

  /**
   * The new lease is held, and one between it and that of now is not yet, which other changes have left behind: the
   * Service goes on under the lease of now, as it did before.
   */
  private mustTrail(
    key: ServiceKey,
    before: Published,
    places: readonly Place[],
    wanted: readonly Place[],
  ): boolean {
    if (!this.membership.isTrailing(key)) return false;
    const has = (list: readonly Place[], vip: Ip): boolean => list.some((place) => place.vip === vip);
    return before.places.some(({ vip }) => has(places, vip) && !has(wanted, vip));
  }

  private restrict(key: ServiceKey, before: Published, places: readonly Place[]): void {
    this.publisher.restrict(key, before, new Set(places.map(({ vip }) => vip)));
  }

  private yield(key: ServiceKey, vip: Ip): void {
    const before = this.publisher.get(key);
    if (before === undefined) return;
    const others = before.places.flatMap((place) => (place.vip === vip ? [] : [place.vip]));
    this.parts.log.warn('another station has a VIP of a Service, and this node may have missed why', {
      service: key,
      vip,
    });
    this.publisher.restrict(key, before, new Set(others));
    this.view.await(key);
  }

  /** The leases of these are held, and nothing is done with them. */
  private makeWay(keys: Iterable<ServiceKey>): void {
    const leases = new Set([...keys].flatMap((key) => this.membership.leaseOf(key) ?? []));
    for (const lease of leases) {
      const campaign = this.campaigns.get(lease);
      if (campaign?.fence === undefined) continue;
      const isUsed = [...campaign.members].some((key) => this.publisher.get(key)?.fence === campaign.fence);
      if (!isUsed) this.campaigns.resign('the Services cannot be listed', viewAgeMs, lease);
    }
  }

  private withdraw(key: ServiceKey): void {
    this.publisher.withdraw(key);
    this.membership.settle(key);
  }

  private isHeldElsewhere(campaign: Campaign | undefined): boolean {
    const holder = campaign?.holder ?? '';
    return holder !== '' && holder !== this.options.node;
  }

  private acquired({ lease, members }: Campaign): void {
    this.parts.observer.campaign?.(lease, 'acquired');
    this.parts.look([...members].filter((member) => !isHeir(member)));
    this.succession?.changed(lease);
    this.parts.learned();
  }

  private lost({ lease, members, trailing }: Campaign, reason: LossReason): void {
    if (reason === 'renew-deadline') this.view.interrupted();
    const held = [...members, ...trailing].filter((key) => this.publisher.get(key)?.lease === lease);
    if (this.options.preserve && reason !== 'released') {
      this.publisher.silenceAll(held, reason);
      for (const key of held) this.parts.ceased(key);
    } else this.publisher.withdrawAll(held, reason);
    for (const key of held) if (this.publisher.get(key) === undefined) this.membership.settle(key);
    for (const key of members) this.succession?.gaveUp(key);
    this.succession?.changed(lease);
    this.parts.observer.campaign?.(lease, 'lost', reason);
  }

  private observed(campaign: Campaign): void {
    this.parts.learned();
    if (!this.isHeldElsewhere(campaign)) return;
    // What trails behind this lease, or was preserved for it, has another holder now.
    this.parts.look([...campaign.members].filter((key) => this.publisher.get(key) !== undefined));
  }

  private isUnsettled(holder: string, since: number, patienceMs: number): boolean {
    const mayBeNode = holder === '' || holder === this.options.node;
    return mayBeNode && this.parts.clock.now() < since + patienceMs;
  }
}
