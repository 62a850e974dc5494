import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { isKernelError, type RuleCounters } from '../linux/index.ts';
import { BALANCER_TABLE, ROLE_TABLE } from '../node/index.ts';
import type { Metrics } from '../observe/index.ts';

/** Rules are a dump of some ten messages. */
const PERIOD_MS = 10_000;

const tables = [
  { name: BALANCER_TABLE, by: 'holder' },
  { name: ROLE_TABLE, by: 'server' },
] as const;

export interface RefusalsParts {
  readonly counters: RuleCounters;
  readonly metrics: Pick<Metrics, 'refusalsWithheld'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Brings what our rules in nf_tables have kept from clients into the metrics, every ten seconds. The kernel's counters begin
 * anew with their rules; what was counted between the last look and a change of the rules is lost.
 */
export function watchRefusals({ counters, metrics, clock, log }: RefusalsParts): { close(): void } {
  const seen = new Map<string, number>();
  let timer: Timer | undefined;
  let isClosed = false;
  let hasComplained = false;
  const look = async (): Promise<void> => {
    for (const { name, by } of tables) {
      for (const family of ['ip', 'ip6'] as const) {
        const rules = await counters.read(family, name);
        rules.forEach(({ chain, comment, packets }, place) => {
          const key = `${family} ${name} ${chain} ${comment} ${place}`;
          const before = seen.get(key) ?? 0;
          seen.set(key, packets);
          const more = packets >= before ? packets - before : packets;
          metrics.refusalsWithheld.increment({ by }, more);
        });
      }
    }
  };
  const arm = (ms: number): void => {
    timer = clock.after('read refusals', ms, () => {
      look()
        .catch((error: unknown) => {
          // The rules changed during each of some tries, or this kernel has no nf_tables (nfnetlink says EINVAL then).
          if (isKernelError(error, 'retry', 'unsupported', 'bug') || hasComplained) return;
          hasComplained = true;
          log.warn('refusals that were kept from clients cannot be counted', { error: messageOf(error) });
        })
        .finally(() => {
          if (!isClosed) arm(PERIOD_MS);
        });
    });
  };
  for (const { by } of tables) metrics.refusalsWithheld.increment({ by }, 0);
  arm(PERIOD_MS);
  return {
    close: () => {
      isClosed = true;
      timer?.cancel();
      counters.close();
    },
  };
}
