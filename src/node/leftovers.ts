import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random, Timer } from '../lib/clock.ts';
import { formatPrefix, type Ip } from '../lib/ip.ts';
import type { LogFields, Logger } from '../lib/log.ts';
import type { KernelError } from '../linux/errors.ts';
import type { AddressKey } from '../linux/types.ts';
import { removeAddresses } from './address/removal.ts';
import type { AddressKernel } from './address/stand-ins.ts';
import type { MutableCounters } from './counters.ts';
import { isMarked } from './mark.ts';
import { addressId, type Observed } from './observed.ts';
import type { Leftover } from './types.ts';

/**
 * What a predecessor left: addresses with our mark, and deprecated ones that are a claimed VIP, whatever its prefix is
 * now (a kube-vip that set no mark), as far as no spec has to do with them.
 */
export function findLeftovers(
  observed: Observed,
  isClaimed: (vip: Ip) => boolean,
  isWanted: (leftover: Leftover['address']) => boolean,
): readonly Leftover[] {
  const found: Leftover[] = [];
  for (const address of observed.allAddresses()) {
    const marked = isMarked(address);
    if (!marked && !(address.deprecated && isClaimed(address.address))) continue;
    if (isWanted(address)) continue;
    found.push({ address, link: observed.linkAt(address.ifindex)?.name, marked });
  }
  return found;
}

export interface SweeperParts {
  readonly kernel: AddressKernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly observed: Observed;
  readonly log: Logger;
  readonly counters: MutableCounters;
  /** The leftovers as they are now: one that was adopted meanwhile is none any more. */
  readonly current: () => readonly Leftover[];
}

const retryBackoff = { baseMs: 50, maxMs: 30_000 };

/** Removes leftovers, and comes back to those that could not be removed. */
export class Sweeper {
  private readonly parts: SweeperParts;
  private retry: Timer | undefined;
  private attempts = 0;

  constructor(parts: SweeperParts) {
    this.parts = parts;
  }

  /** Removes those the filter picks; returns what is gone. */
  sweep(filter: (leftover: Leftover) => boolean): readonly Leftover[] {
    const { kernel, observed, log, counters } = this.parts;
    const picked = this.parts.current().filter(filter);
    const failures = removeAddresses(
      kernel,
      observed,
      picked.map(({ address }) => address),
    );
    const gone = picked.filter(({ address }) => !failures.has(address));
    for (const leftover of gone) {
      counters.swept++;
      log.info('VIP of a predecessor that nobody wants removed', naming(leftover));
    }
    const rest = picked.filter(({ address }) => failures.has(address));
    if (rest.length === 0) this.attempts = 0;
    else this.comeBack(rest, failures);
    return gone;
  }

  close(): void {
    this.retry?.cancel();
  }

  private comeBack(rest: readonly Leftover[], failures: ReadonlyMap<AddressKey, KernelError>): void {
    const { clock, random, log } = this.parts;
    this.attempts++;
    const delay = backoffMs(this.attempts, retryBackoff, random);
    const ids = new Set(rest.map(({ address }) => addressId(address)));
    if (this.attempts === 1) {
      for (const leftover of rest) {
        const error = failures.get(leftover.address)?.message;
        const message = 'VIP of a predecessor cannot be removed, trying again with growing pauses';
        log.error(message, { ...naming(leftover), error });
      }
    }
    this.retry?.cancel();
    this.retry = clock.after('sweep-retry', delay, () => {
      this.retry = undefined;
      this.sweep(({ address }) => ids.has(addressId(address)));
    });
  }
}

function naming({ address, link }: Leftover): LogFields {
  const prefix = formatPrefix({ address: address.address, length: address.prefixLength });
  return { vip: address.address, prefix, link };
}
