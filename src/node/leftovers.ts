import { formatPrefix } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { Kernel } from '../linux/types.ts';
import { removeAddresses } from './address/removal.ts';
import type { MutableCounters } from './counters.ts';
import { isMarked } from './mark.ts';
import type { Observed } from './observed.ts';
import type { Claim, Leftover } from './types.ts';

/**
 * What a predecessor left: addresses with our mark, and deprecated ones that are a claimed VIP with
 * its very prefix (a kube-vip that set no mark), as far as no spec has to do with them.
 */
export function findLeftovers(
  observed: Observed,
  claims: readonly Claim[],
  isWanted: (leftover: Leftover['address']) => boolean,
): readonly Leftover[] {
  const claimed = new Set(claims.map(({ vip, prefixLength }) => `${vip}/${prefixLength}`));
  const found: Leftover[] = [];
  for (const address of observed.allAddresses()) {
    const marked = isMarked(address);
    const isClaimed = address.deprecated && claimed.has(`${address.address}/${address.prefixLength}`);
    if ((!marked && !isClaimed) || isWanted(address)) continue;
    found.push({ address, link: observed.linkAt(address.ifindex)?.name, marked });
  }
  return found;
}

export interface SweepParts {
  readonly kernel: Kernel;
  readonly observed: Observed;
  readonly log: Logger;
  readonly counters: MutableCounters;
}

/** Removes them; returns those that are gone. Each failure is logged and left for the next sweep. */
export function sweepLeftovers(parts: SweepParts, leftovers: readonly Leftover[]): readonly Leftover[] {
  const { kernel, observed, log, counters } = parts;
  const failures = removeAddresses(
    kernel,
    observed,
    leftovers.map(({ address }) => address),
  );
  const gone: Leftover[] = [];
  for (const leftover of leftovers) {
    const { address, link } = leftover;
    const naming = {
      vip: address.address,
      link,
      prefix: formatPrefix({ ...address, length: address.prefixLength }),
    };
    const error = failures.get(address);
    if (error === undefined) {
      gone.push(leftover);
      counters.swept++;
      log.info('VIP of a predecessor that nobody wants removed', naming);
    } else {
      log.error('VIP of a predecessor cannot be removed, left for the next sweep', {
        ...naming,
        error: error.message,
      });
    }
  }
  return gone;
}
