import ipaddr from 'ipaddr.js';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { familyOf, type Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';

const HAS_IP_LABEL = 'kube-vip.io/has-ip';
/** Written by kube-vip for Services; removed on exit like the other. */
const SERVICE_LABEL = 'service-provided.kube-vip.io';

/** A label value for a VIP: dotted IPv4, or 32 hex digits, because a colon is not allowed in a label. */
export function labelValue(vip: Ip): string {
  if (familyOf(vip) === 4) return vip;
  return ipaddr
    .parse(vip)
    .toByteArray()
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
}

/** Sets (string) or removes (null) labels of this program's own Node. */
export type PatchLabels = (
  labels: Readonly<Record<string, string | null>>,
  signal: AbortSignal,
) => Promise<void>;

/**
 * Keeps one Node label in step with what is wanted, in the background: nobody who takes or drops a
 * VIP waits for it, and a slow API server delays only the label. Retries until the newest wish is
 * written; a wish that was replaced meanwhile is never written late.
 */
export class NodeLabel {
  private readonly patch: PatchLabels;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly log: Logger;
  private wanted: string | null = null;
  /** What the API server has; undefined until the first write: a predecessor may have left a label. */
  private written: string | null | undefined;
  private working: Promise<void> | undefined;
  private readonly stop = new AbortController();

  constructor(parts: { patch: PatchLabels; clock: Clock; random: Random; log: Logger }) {
    this.patch = parts.patch;
    this.clock = parts.clock;
    this.random = parts.random;
    this.log = parts.log;
  }

  /** The label's value from now on; null removes it. Returns at once. */
  set(value: string | null): void {
    this.wanted = value;
    this.working ??= this.work().finally(() => {
      this.working = undefined;
    });
  }

  /** Removes our labels, waiting at most this long. */
  async close(budgetMs: number): Promise<void> {
    const timer = this.clock.after('node-label-close', budgetMs, () => {
      this.stop.abort();
    });
    this.set(null);
    await this.working;
    if (!this.stop.signal.aborted) {
      await this.attempt({ [HAS_IP_LABEL]: null, [SERVICE_LABEL]: null });
    }
    timer.cancel();
    this.stop.abort();
  }

  private async work(): Promise<void> {
    for (let failures = 0; this.wanted !== this.written && !this.stop.signal.aborted;) {
      const value = this.wanted;
      if (await this.attempt({ [HAS_IP_LABEL]: value })) {
        this.written = value;
        failures = 0;
      } else {
        failures += 1;
        const waitMs = backoffMs(failures, { baseMs: 500, maxMs: 10_000 }, this.random);
        await this.clock.sleep('node-label-retry', waitMs, this.stop.signal);
      }
    }
  }

  private async attempt(labels: Readonly<Record<string, string | null>>): Promise<boolean> {
    try {
      await this.patch(labels, this.stop.signal);
      return true;
    } catch (error) {
      if (!this.stop.signal.aborted)
        this.log.warn('node label not written, trying again', { error: messageOf(error) });
      return false;
    }
  }
}
