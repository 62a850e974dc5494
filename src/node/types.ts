import type { Fence } from '../lib/fence.ts';
import type { Ip, Mac, Prefix } from '../lib/ip.ts';
import type { Address, Scope } from '../linux/types.ts';

export type * from './advertisement/types.ts';

/** Who asked for something: `control-plane`, or `service/<namespace>/<name>`. */
export type Owner = 'control-plane' | `service/${string}/${string}`;

/** A VIP that should be on a link of this node. */
export interface AddressSpec {
  readonly kind: 'address';
  readonly vip: Ip;
  readonly prefixLength: number;
  /** Link name. Links come and go; the spec waits for one with this name. */
  readonly link: string;
  readonly scope: Scope;
  /**
   * Seconds; undefined is forever, `tenure` what the fence has left: the kernel then ends it for a process that does not run.
   * Preferred lifetime is always 0: a VIP is never a source address.
   */
  readonly validLifetime: number | 'tenure' | undefined;
  readonly noDad: boolean;
  /** Owner mark of the address (IFA_PROTO); the usual one when absent. */
  readonly mark?: number;
  /** Absent: wanted whoever leads (modes without election). */
  readonly fence?: Fence;
}

/** A VIP whose place this node should tell the neighbours on a link (gratuitous ARP, unsolicited NA). */
export interface AnnouncementSpec {
  readonly kind: 'announcement';
  readonly vip: Ip;
  readonly link: string;
  /** Milliseconds between refreshes after the opening burst. */
  readonly periodMs: number;
  readonly fence?: Fence;
}

export interface GuardedPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly port: number;
  /** Clients that are let in; undefined: all. Those of the other family do not count. */
  readonly sources: readonly Prefix[] | undefined;
}

/** Packets to a VIP that are for none of these ports are dropped on this node. */
export interface GuardSpec {
  readonly kind: 'guard';
  readonly vip: Ip;
  /** The link of the address that it belongs to. */
  readonly link: string;
  readonly ports: readonly GuardedPort[];
}

/** A VIP that routing daemons on this node, or whoever looks into our table, should find a route to. */
export interface RouteSpec {
  readonly kind: 'route';
  readonly vip: Ip;
  readonly link: string;
  /**
   * 0, or a number that grows: with each turn the route is written again in a way that watchers of the
   * table see, because they may have missed it.
   */
  readonly turn: number;
  readonly fence?: Fence;
}

/** A VIP that BGP peers should have a host route to, by this node. */
export interface AdvertisementSpec {
  readonly kind: 'advertisement';
  readonly vip: Ip;
  /** Where an address spec of the same owner wants it too, it is advertised only while usable there. */
  readonly link: string;
  readonly fence?: Fence;
}

export type Spec = AddressSpec | AnnouncementSpec | GuardSpec | RouteSpec | AdvertisementSpec;

/** `ready`: true in the kernel. `waiting`: reason says for what (no link, duplicate address detection). */
export type SpecState =
  | { readonly state: 'ready' }
  | { readonly state: 'waiting'; readonly reason: string }
  /** `retryInMs` undefined: not before something changes on this node. */
  | { readonly state: 'failed'; readonly reason: string; readonly retryInMs: number | undefined };

export interface SpecStatus {
  readonly spec: Spec;
  /** Empty while something nobody wants any more could not be removed yet. */
  readonly owners: readonly Owner[];
  readonly state: SpecState;
  /** What was done last for this spec, and when (monotonic milliseconds). */
  readonly last: LastAction | undefined;
}

/** A count that is kept by whoever counts. */
export interface Tally {
  value: number;
}

export interface LastAction {
  readonly what: 'added' | 'adopted' | 'restored' | 'changed' | 'removed' | 'sent' | 'failed' | 'withheld';
  readonly at: number;
}

/** An address of a predecessor that no spec wants. */
export interface Leftover {
  readonly address: Address;
  /** Name of its link; undefined when the link is not known (yet). */
  readonly link: string | undefined;
  /** It carries our mark. */
  readonly marked: boolean;
}

/** How often things happened since the start. */
export interface NodeCounters {
  readonly added: number;
  readonly adopted: number;
  readonly restored: number;
  readonly removed: number;
  readonly swept: number;
  readonly failed: number;
  readonly framesSent: number;
  readonly framesFailed: number;
  readonly framesWithheld: number;
  readonly claimantsReported: number;
  /** Claims that came too soon after a report of the same VIP. */
  readonly claimantsFolded: number;
  /** Received frames that do not parse. */
  readonly framesRefused: number;
  readonly dumps: number;
  readonly routesSet: number;
  readonly routesRemoved: number;
  /** Routes that had vanished without our doing, and are back. */
  readonly routesRestored: number;
  readonly routesSwept: number;
  readonly routesFailed: number;
}

/** What can keep a wanted VIP away: its rules are not in the kernel, or its link does not take the address. */
export type Holding = 'rules' | 'link';

/** News from the node that operators and observers act on. All callbacks are optional and must not throw. */
export interface NodeObserver {
  /** An address became usable on this node (after duplicate address detection for IPv6). */
  addressReady?(vip: Ip, link: string): void;
  /** A VIP of ours vanished behind our back and was put back. */
  addressRestored?(vip: Ip, link: string): void;
  addressFailed?(vip: Ip, link: string, error: unknown): void;
  /** Nothing leads to this VIP from now on, for this reason; `problem` undefined: that is over, or nobody wants it. */
  heldBack?(vip: Ip, by: Holding, problem: string | undefined): void;
  /** Where the frames that announce this VIP are counted. Asked for once: hundreds may leave in a second. */
  framesSent?(vip: Ip, link: string): Tally;
  notAnnounced?(vip: Ip, link: string, why: 'failed' | 'withheld'): void;
  /** Somebody else on the wire claims a VIP that we hold. */
  secondClaimant?(vip: Ip, link: string, mac: Mac): void;
}

/** What one owner wants from now on. */
export interface Wish {
  readonly owner: Owner;
  readonly specs: readonly Spec[];
}

/** For operators with many owners: the kernel takes many changes at once in far less time than one by one. */
export interface BulkNodeStore extends NodeStore {
  /** Like `publish` for each, in this order; an owner may come more than once. */
  publishAll(wishes: readonly Wish[]): void;
  /** Something that was published waits for its turn, or for the address that a route stands in for. */
  isBusy(): boolean;
}

/** The truth on this node. `publish` and `withdraw` change the kernel before they return. */
export interface NodeStore {
  /** Replaces everything this owner asked for before. */
  publish(owner: Owner, specs: readonly Spec[]): void;
  withdraw(owner: Owner): void;
  /** The VIP is on some link of this node, marked as ours, as far as the kernel has told. */
  isPresent(vip: Ip): boolean;
  status(): readonly SpecStatus[];
}
