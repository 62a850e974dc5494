import { backoffMs } from '../../lib/backoff.ts';
import type { Clock, Random } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { errnoOf, type KernelError } from '../../linux/errors.ts';
import { familyOf } from '../../lib/ip.ts';
import { naming, type AddressRecord } from './record.ts';

const retryBackoff = { baseMs: 50, maxMs: 5000 };
/** IPv6 that is off on a link comes back without an event where the link makes no address of its own. */
const unsupportedRetryMs = 3000;

export interface AgainParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The time has come for this one. */
  readonly run: (record: AddressRecord) => void;
}

/** When a record is looked at again although nothing has changed: after a failure, and before a lifetime ends. */
export class Again {
  private readonly parts: AgainParts;

  constructor(parts: AgainParts) {
    this.parts = parts;
  }

  /** The kernel has refused what was asked for it. Returns whether that passes by itself, as far as anybody knows. */
  refused(record: AddressRecord, error: KernelError): boolean {
    record.attempts++;
    const retryInMs = this.retryInMs(record, error);
    this.failed(record, error.message, retryInMs);
    return retryInMs !== undefined && retryInMs !== unsupportedRetryMs;
  }

  /** `retryInMs` undefined: at the next full check. The same reason is logged once in a row. */
  failed(record: AddressRecord, reason: string, retryInMs: number | undefined): void {
    const { clock, log, run } = this.parts;
    const retryAt = retryInMs === undefined ? undefined : clock.now() + retryInMs;
    record.failure = { reason, retryAt };
    if (record.logged !== reason) {
      record.logged = reason;
      const task = record.wanted === undefined ? 'removed' : 'put on its link';
      const next = retryInMs === undefined ? 'at the next full check' : `in ${Math.ceil(retryInMs)} ms`;
      log.error(`VIP cannot be ${task}, trying again ${next}`, { ...naming(record), error: reason });
    }
    if (retryInMs === undefined) return;
    record.retry?.cancel();
    record.retry = clock.after('address-retry', retryInMs, () => {
      record.retry = undefined;
      run(record);
    });
  }

  /** A limited lifetime (the address came from a name) is renewed at half of it, as long as it is wanted. */
  beforeEnd(record: AddressRecord, validLifetime: number | undefined): void {
    record.refresh?.cancel();
    record.refresh = undefined;
    if (validLifetime === undefined) return;
    record.refresh = this.parts.clock.after('address-lifetime', validLifetime * 500, () => {
      record.refresh = undefined;
      this.parts.run(record);
    });
  }

  /** What only an operator can change is tried again with the next dump (undefined), not in a loop. */
  private retryInMs({ attempts, vip }: AddressRecord, { errno, kind }: KernelError): number | undefined {
    // A link whose MTU is below 1280 has no IPv6 either (RFC 8200 5), which Linux calls an invalid argument.
    const lacksIpv6 = errno === errnoOf.EINVAL && familyOf(vip) === 6;
    if (kind === 'unsupported' || lacksIpv6) return unsupportedRetryMs;
    const mayPass = kind === 'retry' || kind === 'gone';
    return mayPass ? backoffMs(attempts, retryBackoff, this.parts.random) : undefined;
  }
}
