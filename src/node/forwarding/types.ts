import type { Ip } from '../../lib/ip.ts';

/** The methods of `lb_fwdmethod`. */
export type ForwardingMethod = 'masquerade' | 'local' | 'tunnel' | 'directroute' | 'bypass';

/** rr, lc: all servers alike. wrr, wlc: by weight. sh, mh: by a hash of the client's address. */
export type Scheduler = 'rr' | 'wrr' | 'lc' | 'wlc' | 'sh' | 'mh';

/**
 * `active` gets connections. `draining` gets no new ones and keeps those it has. `dead` loses all of
 * them at once: its clients are told with a reset. A server that is not listed any more is dead.
 */
export type RealServerState = 'active' | 'draining' | 'dead';

export interface RealServer {
  readonly address: Ip;
  readonly port: number;
  readonly weight: number;
  readonly state: RealServerState;
  /** It is known to answer: a client that another server refuses is served here when it knocks again. */
  readonly isProven?: boolean;
}

/** Connections to `vip`:`port` that the kernel should spread over real servers. */
export interface VirtualServerSpec {
  readonly kind: 'virtual-server';
  readonly vip: Ip;
  readonly port: number;
  readonly protocol: 'tcp';
  readonly scheduler: Scheduler;
  readonly method: ForwardingMethod;
  /** The link of the VIP: direct return reaches real servers through it. */
  readonly link: string;
  readonly realServers: readonly RealServer[];
}

/**
 * This node is a real server of a VIP that somebody else holds, and answers its clients directly
 * (`directroute`): it has the VIP on `lo` and never says so on the wire.
 */
export interface RealServerRoleSpec {
  readonly kind: 'real-server-role';
  readonly vip: Ip;
  /** Otherwise the VIP is not on `lo`: clients on this node go to the holder. */
  readonly isListening: boolean;
}

export type ForwardingSpec = VirtualServerSpec | RealServerRoleSpec;

/** What carries the connections. */
export type BalancerBackend = 'ipvs' | 'nftables';

export type ForwardingState =
  | { readonly state: 'ready' }
  | { readonly state: 'waiting'; readonly reason: string }
  | { readonly state: 'failed'; readonly reason: string };

export interface ForwardingSpecStatus {
  readonly spec: ForwardingSpec;
  readonly state: ForwardingState;
  /** What an operator of the cluster should know though it works, and servers that had to be left out. */
  readonly notes: readonly string[];
}

/** How often things happened since the start. */
export interface ForwardingCounters {
  /** Batches and requests that changed the kernel. */
  readonly changes: number;
  /** Of these, repairs of what somebody else had changed. */
  readonly repairs: number;
  readonly failures: number;
  /** Connections of dead servers that were cut, and clients told about it. */
  readonly connectionsCut: number;
  readonly clientsReset: number;
}

export interface ForwardingStatus {
  readonly backend: BalancerBackend;
  readonly reason: string;
  readonly specs: readonly ForwardingSpecStatus[];
  readonly counters: ForwardingCounters;
}

/** The reconciler of virtual servers on this node. */
export interface Forwarding {
  /** Finds what a predecessor left, and begins to follow the kernel. Rejects with KernelError when it cannot. */
  start(): Promise<void>;
  /** Replaces everything that was wanted before. Takes effect before it returns, or says why not in `status`. */
  set(specs: readonly ForwardingSpec[]): void;
  status(): ForwardingStatus;
  /** Takes back all that was put into the kernel, tells those who are connected, a second at most, and ends. */
  close(): Promise<void>;
  /** Ends and leaves everything as it is, for a successor to find. */
  abandon(): void;
}

/** News that observers act on. Must not throw. */
export interface ForwardingObserver {
  /** Something of ours was gone or changed, and is back. */
  repaired?(what: string): void;
  failed?(what: string, error: unknown): void;
  /** Connections to a dead server were cut. */
  cut?(vip: Ip, server: Ip, connections: number): void;
}
