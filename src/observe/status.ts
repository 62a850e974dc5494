import type { Sample } from './metric-kinds.ts';

/** A list that is made while it is read. */
export function lazily<T>(make: () => Iterator<T, unknown>): Iterable<T> {
  return { [Symbol.iterator]: make };
}

/**
 * What this process knows about itself, as one plain value: the manager builds it, and the status
 * page, the readiness answer, the scrape and the state dump only read it.
 */
export interface StatusDocument {
  readonly version: string;
  readonly build: string;
  readonly node: string;
  readonly pid: number;
  /** RFC 3339. */
  readonly time: string;
  readonly uptimeSeconds: number;
  /** Why the process is not ready; empty when it is. */
  readonly notReady: readonly string[];
  readonly mode: string;
  /** Here and below: made while they are read, and made anew whenever they are read again. */
  readonly vips: Iterable<VipStatus>;
  /** The control-plane balancer; undefined where it is off. */
  readonly balancer: BalancerStatus | undefined;
  /** The address controller; undefined where it is off. */
  readonly ipam: IpamStatus | undefined;
  readonly leases: Iterable<LeaseStatus>;
  /** BGP peers; empty where none is spoken. */
  readonly peers: readonly BgpPeerStatus[];
  readonly watches: readonly WatchStatus[];
  readonly timers: Iterable<TimerStatus>;
  /** The last second claimants seen, newest first. */
  readonly claimants: readonly Claimant[];
  readonly counters: Iterable<Sample>;
}

export interface VipStatus {
  readonly vip: string;
  readonly link: string;
  readonly kind: string;
  readonly owners: readonly string[];
  /** On the link now, as far as the kernel has told. */
  readonly present: boolean;
  readonly state: 'ready' | 'waiting' | 'failed';
  /** What it waits for, or why it failed. */
  readonly reason?: string;
}

export interface BalancerStatus {
  /** `ipvs` or `nftables`, and why. */
  readonly backend: string;
  readonly reason: string;
  /** What the kernel balances; empty while this node does not hold. */
  readonly virtualServers: readonly {
    readonly vip: string;
    readonly port: number;
    readonly state: string;
    readonly reason?: string;
    readonly notes: readonly string[];
  }[];
  readonly backends: readonly {
    readonly node: string;
    readonly address: string;
    readonly phase: string;
    readonly lastProblem: string | undefined;
  }[];
}

export interface IpamStatus {
  /** This process assigns addresses. */
  readonly active: boolean;
  /** Who does, as far as this process knows; empty: nobody. */
  readonly holder: string;
  readonly pools: readonly {
    /** Key of the ConfigMap. */
    readonly pool: string;
    readonly family: 4 | 6;
    /** Addresses that can be given out, and how many of them somebody has. */
    readonly size: number;
    readonly used: number;
  }[];
  /** Keys of the ConfigMap that cannot be used, and why. */
  readonly problems: readonly string[];
  /** Services that wait for an address. */
  readonly waiting: number;
  /** Updates of Services under way. */
  readonly writing: number;
  readonly waitingFor: string | undefined;
}

export interface BgpPeerStatus {
  readonly address: string;
  readonly port: number;
  readonly as: number;
  /** In the words of RFC 4271: idle, connect, active, openSent, openConfirm, established. */
  readonly state: string;
  readonly sinceSeconds: number;
  /** Of the last change of state. */
  readonly reason: string;
  readonly routerId: string | undefined;
  /** Seconds agreed on. */
  readonly holdTime: number | undefined;
  /** In the words of RFC 5880: adminDown, down, init, up; undefined without BFD. */
  readonly bfd: string | undefined;
  /** How often it was established. */
  readonly sessions: number;
  readonly advertised: readonly { readonly prefix: string; readonly nextHop: string }[];
}

export interface LeaseStatus {
  /** `namespace/name`. */
  readonly lease: string;
  readonly identity: string;
  /** Empty when nobody holds it, or nothing is known yet. */
  readonly holder: string;
  readonly isHolder: boolean;
  readonly lastRenewAgeMs: number | undefined;
  readonly transitions: number;
  readonly lastReason: string;
  readonly lastError: string | undefined;
}

export interface WatchStatus {
  readonly resource: string;
  readonly synced: boolean;
  readonly items: number;
  /** Since the API server was last heard; undefined before the first list. */
  readonly ageMs: number | undefined;
  readonly relists: number;
  readonly lastError: string | undefined;
}

export interface TimerStatus {
  readonly name: string;
  /** Negative when overdue. */
  readonly inMs: number;
}

export interface Claimant {
  readonly vip: string;
  readonly link: string;
  readonly mac: string;
  /** RFC 3339. */
  readonly time: string;
}

/** `ns/name` → `name`: the value of the label `lease_name`, as kube-vip writes it. */
export function leaseLabel(lease: string): string {
  return lease.slice(lease.lastIndexOf('/') + 1);
}
