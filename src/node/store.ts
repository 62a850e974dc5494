import type { Clock, Random } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { Nftables } from '../linux/index.ts';
import type { Address, Kernel, Link, Route } from '../linux/types.ts';
import { FormerPlaces } from './address/former-places.ts';
import { AddressReconciler } from './address/reconciler.ts';
import { StandIns } from './address/stand-ins.ts';
import { Advertisements } from './advertisement/advertisements.ts';
import type { Advertiser } from './advertisement/index.ts';
import { Announcer } from './announce/announcer.ts';
import { ClaimantWatch } from './claimants/watch.ts';
import { newCounters } from './counters.ts';
import { Following } from './following.ts';
import { HandOver } from './hand-over.ts';
import { findLeftovers, Sweeper } from './leftovers.ts';
import { Observed } from './observed.ts';
import type { RouteForm } from './route/form.ts';
import { Routes } from './route/reconciler.ts';
import { Guards } from './security/guards.ts';
import { keyed, keyOf, ofKind, SpecBook, type Keyed, type SpecKey } from './spec-book.ts';
import { specStatuses } from './status.ts';
import type {
  BulkNodeStore,
  Leftover,
  NodeCounters,
  NodeObserver,
  Owner,
  Spec,
  SpecStatus,
  Wish,
} from './types.ts';

export interface NodeComponents {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer?: NodeObserver;
  /** Spreads retries; without it they are not spread. */
  readonly random?: Random;
  /** For guard specs: the firewall, and the name of our tables in it. Without it there are none. */
  readonly guards?: { readonly nftables: Nftables; readonly table: string };
  /** For advertisement specs: who tells the BGP peers. */
  readonly advertiser?: Advertiser;
}

export interface NodeOptions {
  /** For route specs: where our routes are, and how they look. Without it there are none. */
  readonly routes?: RouteForm;
  /** Is it a VIP that this node may have? Then an unmarked, deprecated address like it is a predecessor's. */
  readonly isClaimed?: (vip: Ip) => boolean;
  /**
   * With so many addresses on a link others that wait for theirs are answered for by routes meanwhile (ADR 11). Default
   * 2048: there an address takes Linux several times as long as a route.
   */
  readonly crowd?: number;
  /** Everything is dumped and checked anew this often, in case an event was missed. Default 30 000. */
  readonly refreshMs?: number;
}

export interface Node extends BulkNodeStore {
  /**
   * Begins to follow the kernel; resolves after the first dump, when specs published before it have
   * been applied. Rejects with KernelError when the kernel cannot be watched or dumped.
   */
  start(): Promise<void>;
  /** Stops following the kernel and announcing. Addresses stay: withdraw their owners first. */
  close(): void;
  /** What `status` says, one after the other: there may be tens of thousands. */
  statuses(): Iterable<SpecStatus>;
  /** Addresses of a predecessor that no spec wants; empty before the first dump. */
  leftovers(): readonly Leftover[];
  /**
   * Removes leftovers, or those the filter picks; returns what is gone. What could not be removed is
   * tried again. Call it once every source of specs has had its say; before `start` has resolved it
   * removes nothing.
   */
  sweep(filter?: (leftover: Leftover) => boolean): readonly Leftover[];
  /**
   * Removes routes with our mark that no spec wants and the filter picks; returns what is gone. Our
   * mark is a number that somebody else may use as well, so it is for the caller to say which are ours.
   */
  sweepRoutes(filter: (route: Route) => boolean): readonly Route[];
  counters(): NodeCounters;
}

/** The node's truth about VIPs: one store of specs, and the reconcilers that keep the kernel to it. */
export function createNode(components: NodeComponents, options: NodeOptions = {}): Node {
  return new NodeTruth(components, options);
}

const defaultRefreshMs = 30_000;

class NodeTruth implements Node {
  private readonly components: NodeComponents;
  private readonly options: NodeOptions;
  private readonly book = new SpecBook((vip) => this.guards?.holdsBack(vip) === true);
  private readonly observed = new Observed();
  private readonly count = newCounters();
  private readonly standIns: StandIns;
  private readonly addresses: AddressReconciler;
  private readonly formerPlaces: FormerPlaces;
  private readonly announcer: Announcer;
  private readonly claimants: ClaimantWatch;
  private readonly sweeper: Sweeper;
  private readonly guards: Guards | undefined;
  private readonly routes: Routes | undefined;
  private readonly advertisements: Advertisements | undefined;
  private readonly following: Following;
  private readonly handOver: HandOver;
  private isKnown = false;

  constructor(components: NodeComponents, options: NodeOptions) {
    this.components = components;
    this.options = options;
    const { kernel, clock, observer = {}, random = () => 1 } = components;
    const log = components.log.child('node');
    const { observed, book, count: counters } = this;
    this.handOver = new HandOver({
      clock,
      isWanted: (key) => book.has(key),
      tell: (changed) => this.tell(changed),
    });
    this.standIns = new StandIns({
      kernel,
      clock,
      observed,
      crowd: options.crowd ?? 2048,
      isBusy: () => this.hasWaiting(),
      mayAdd: (key) => this.addresses.mayAdd(key),
      onLost: (address) => {
        observed.lost(address);
        this.addressChanged(address, 'gone', true);
      },
    });
    const shared = { kernel, clock, log, observer, observed, book, counters };
    this.claimants = new ClaimantWatch({
      ...shared,
      wantedOn: (link) => this.announcer.wantedOn(link),
      countOn: (link) => this.announcer.announcements.countOn(link),
      isActive: (link, vip) => this.announcer.isActive(link, vip),
      isBusy: () => this.hasWaiting(),
    });
    this.announcer = new Announcer({
      ...shared,
      onActive: (link) => this.claimants.changed(link),
      onWanted: (link, vips) => this.claimants.expect(link, vips),
    });
    this.addresses = new AddressReconciler({
      ...shared,
      kernel: this.standIns,
      random,
      onUsable: (vip) => {
        this.announcer.usable(vip);
        this.formerPlaces.usable();
      },
    });
    this.formerPlaces = new FormerPlaces({
      ...shared,
      isOurs: (address) => this.addresses.owns(address),
      isBusy: () => this.hasWaiting(),
    });
    const { guards } = components;
    const heldBack = (vips: readonly Ip[], problem: string | undefined): void => {
      const concerned = new Set(vips);
      if (vips.length > 0)
        this.apply(
          book
            .all()
            .filter(({ vip }) => concerned.has(vip))
            .map(keyed),
        );
      for (const vip of vips) observer.heldBack?.(vip, 'rules', problem);
    };
    this.guards = guards === undefined ? undefined : new Guards({ ...guards, clock, log, book, heldBack });
    const { routes } = options;
    this.routes = routes === undefined ? undefined : new Routes({ ...shared, random }, routes);
    const { advertiser } = components;
    this.advertisements = advertiser && new Advertisements({ book, addresses: this.addresses, advertiser });
    this.sweeper = new Sweeper({ ...shared, kernel: this.standIns, random, current: () => this.leftovers() });
    const { refreshMs = defaultRefreshMs } = options;
    this.following = new Following(
      {
        ...shared,
        kernel: this.standIns,
        random,
        isBusy: () => this.hasWaiting(),
        addressChanged: (address, change, isNews) => this.addressChanged(address, change, isNews),
        linkChanged: (before, after) => this.linkChanged(before, after),
        dumped: (eventsLost) => this.dumped(eventsLost),
        refreshed: () => this.routes?.reassert(clock.now() - refreshMs),
      },
      refreshMs,
    );
  }

  async start(): Promise<void> {
    this.following.start();
    await this.guards?.start();
    await this.routes?.start();
    await this.following.firstDump();
  }

  publish(owner: Owner, specs: readonly Spec[]): void {
    this.apply(this.book.replace(owner, specs));
  }

  publishAll(wishes: readonly Wish[]): void {
    const changed = new Map<SpecKey, Keyed>();
    wishes.forEach(({ owner, specs }) => {
      this.book.replace(owner, specs).forEach((each) => changed.set(each.key, each));
    });
    this.apply(changed.values());
  }

  private apply(changed: Iterable<Keyed>): void {
    if (this.isKnown) this.handOver.take(changed);
  }

  private tell(changed: readonly Keyed[]): void {
    const announcements = ofKind(changed, 'announcement');
    this.advertisements?.specsUnwanted(changed);
    // What is no longer announced is silent before its address goes; what is new is ready to be
    // announced in the very turn in which its address becomes usable.
    this.announcer.specsChanged(announcements);
    this.routes?.specsUnwanted(changed);
    this.guards?.specsWanted(changed);
    this.addresses.specsChanged(ofKind(changed, 'address'));
    this.guards?.specsUnwanted(changed);
    this.routes?.specsWanted(changed);
    this.advertisements?.specsWanted(changed);
    this.announcer.kick(announcements);
  }

  withdraw(owner: Owner): void {
    this.publish(owner, []);
  }

  isBusy(): boolean {
    return this.hasWaiting() || this.standIns.size > 0;
  }

  /** Something that was published can not be reached yet. */
  private hasWaiting(): boolean {
    return this.handOver.isBusy || this.addresses.isBusy;
  }

  isPresent(vip: Ip): boolean {
    return this.observed.addressesOf(vip).some((address) => this.addresses.owns(address));
  }

  status(): readonly SpecStatus[] {
    return [...this.statuses()];
  }

  statuses(): Iterable<SpecStatus> {
    const { book, addresses, announcer, guards, routes, advertisements, components } = this;
    return specStatuses({
      book,
      addresses,
      announcer,
      guards,
      routes,
      advertisements,
      now: components.clock.now(),
      isKnown: this.isKnown,
    });
  }

  leftovers(): readonly Leftover[] {
    if (!this.isKnown) return [];
    return findLeftovers(this.observed, this.options.isClaimed ?? (() => false), (a) => this.isWanted(a));
  }

  private isWanted(address: Address): boolean {
    const link = this.observed.linkAt(address.ifindex)?.name ?? '';
    const key = keyOf({ kind: 'address', link, vip: address.address });
    const isSpec = this.book.has(key) && this.guards?.holdsBack(address.address) !== true;
    return isSpec || this.addresses.concerns(address);
  }

  sweep(filter: (leftover: Leftover) => boolean = () => true): readonly Leftover[] {
    const swept = this.sweeper.sweep(filter);
    if (this.isKnown) this.guards?.swept(this.leftovers().map(({ address }) => address.address));
    return swept;
  }

  sweepRoutes(filter: (route: Route) => boolean): readonly Route[] {
    return this.routes?.sweep(filter) ?? [];
  }

  counters(): NodeCounters {
    return { ...this.count };
  }

  close(): void {
    this.following.close();
    this.handOver.close();
    this.addresses.close();
    this.standIns.close();
    this.formerPlaces.close();
    this.announcer.close();
    this.claimants.close();
    this.sweeper.close();
    this.guards?.close();
    this.routes?.close();
  }

  private addressChanged(address: Address, change: 'set' | 'gone', isNews: boolean): void {
    // Also when it was our own doing: Linux takes the routes along with the last address of a link.
    if (change === 'gone') this.routes?.addressGone(address);
    if (!isNews || !this.isKnown) return;
    this.addresses.addressChanged(address, change);
    this.announcer.addressChanged(address.address, this.observed.linkAt(address.ifindex)?.name);
    this.advertisements?.addressChanged(address.address);
  }

  private linkChanged(before: Link | undefined, after: Link | undefined): void {
    if (!this.isKnown) return;
    // What rests now starts in the very turn in which its address is back.
    this.announcer.linkChanged(before, after);
    for (const name of new Set([before?.name, after?.name])) {
      if (name === undefined) continue;
      this.addresses.linkChanged(name);
      this.routes?.linkChanged(name);
    }
    this.advertisements?.lookAgain();
  }

  private dumped(eventsLost: boolean): void {
    if (!this.isKnown) {
      this.isKnown = true;
      this.apply(this.book.all().map(keyed));
      return;
    }
    this.addresses.recheckAll(eventsLost);
    this.announcer.recheckAll();
    this.routes?.lookAgain();
    this.advertisements?.lookAgain();
  }
}
