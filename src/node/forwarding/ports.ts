import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Conntrack, Ipvs, Kernel, NeighbourResolver, Nftables, RawIp } from '../../linux/index.ts';
import type { MutableCounters } from './counters.ts';
import type { ForwardingObserver } from './types.ts';

/** The kernel's side of forwarding. What a kernel lacks is undefined. */
export interface ForwardingKernel {
  readonly kernel: Kernel;
  readonly nftables: Nftables | undefined;
  readonly ipvs: Ipvs | undefined;
  readonly conntrack: Conntrack | undefined;
  readonly resolver: NeighbourResolver;
  readonly rawIp: RawIp;
}

/** What all parts of forwarding share. */
export interface Shared {
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ForwardingObserver;
  readonly counters: MutableCounters;
}
