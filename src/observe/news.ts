import type { Clock } from '../lib/clock.ts';
import type { Metrics } from './metrics.ts';
import { leaseLabel } from './status.ts';
import type { Claimant } from './status.ts';

/** News from the node, counted. Fits the node's observer, which knows nothing of metrics. */
export interface NodeNews {
  addressRestored(vip: string, link: string): void;
  addressFailed(vip: string, link: string): void;
  framesSent(vip: string, link: string): { value: number };
  notAnnounced(vip: string, link: string, why: 'failed' | 'withheld'): void;
  secondClaimant(vip: string, link: string, mac: string): void;
  /** The last second claimants, newest first. */
  claimants(): readonly Claimant[];
}

const CLAIMANTS_KEPT = 16;

export function createNodeNews(metrics: Metrics, clock: Clock): NodeNews {
  let claimants: readonly Claimant[] = [];
  return {
    addressRestored: (vip, link) => metrics.addressRestores.increment({ vip, link }),
    addressFailed: (vip, link) => metrics.addressErrors.increment({ vip, link }),
    framesSent: (vip, link) => metrics.announcements.tally({ vip, link, result: 'sent' }),
    notAnnounced: (vip, link, result) => metrics.announcements.increment({ vip, link, result }),
    secondClaimant(vip, link, mac) {
      metrics.secondClaimants.increment({ vip, link });
      const others = claimants.filter((seen) => seen.vip !== vip || seen.link !== link || seen.mac !== mac);
      const time = new Date(clock.wall()).toISOString();
      claimants = [{ vip, link, mac, time }, ...others].slice(0, CLAIMANTS_KEPT);
    },
    claimants: () => claimants,
  };
}

/** News of one election, counted: call `acquired` and `lost` as they happen on this node. */
export interface LeaseNews {
  acquired(): void;
  lost(reason: string): void;
  /** Nobody here needs a lease of this name any more: no series of it stays. */
  forget(): void;
}

export function createLeaseNews(metrics: Metrics, lease: string): LeaseNews {
  const labels = { lease_name: leaseLabel(lease) };
  const reasons = new Set<string>();
  return {
    acquired: () => metrics.leaseTransitions.increment(labels),
    lost(reason) {
      reasons.add(reason);
      metrics.leaseTransitions.increment(labels);
      metrics.leaseLosses.increment({ ...labels, reason });
    },
    forget() {
      metrics.leaseTransitions.remove(labels);
      for (const reason of reasons) metrics.leaseLosses.remove({ ...labels, reason });
      reasons.clear();
    },
  };
}
