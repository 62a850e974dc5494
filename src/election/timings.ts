/** The three times of an election, milliseconds. */
export interface Timings {
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

/** client-go's JitterFactor: candidates poll every retry period × (1 + random up to this). */
export const jitterFactor = 1.2;

/**
 * Time a holder needs, at most, to take its VIPs off the node at the end of its tenure. It must fit
 * between renew deadline and lease duration, or the next holder could come first.
 */
const removalBudgetMs = 500;

/** Part of the lease duration a tenure may last; the rest is for removal, for pauses and for clocks that differ. */
const tenureShare = 0.8;

/** Settings to name in messages; Services and control plane use the same ones. */
const names = {
  leaseDurationMs: 'vip_leaseduration',
  renewDeadlineMs: 'vip_renewdeadline',
  retryPeriodMs: 'vip_retryperiod',
} as const;

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

/**
 * Why these timings cannot work, in words that name the settings, or undefined when they can.
 * Ratios also bound clock trouble: two holders are impossible while no node's clock runs
 * leaseDuration / tenure times as fast as another's (see `tenureMs`).
 */
export function checkTimings(timings: Timings): string | undefined {
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = timings;
  for (const [key, name] of Object.entries(names) as [keyof typeof names, string][]) {
    const value = timings[key];
    if (!Number.isFinite(value) || value < 1000) {
      return `${name} is ${seconds(value)}; it must be at least 1 s`;
    }
  }
  if (leaseDurationMs <= renewDeadlineMs) {
    return `${names.leaseDurationMs} (${seconds(leaseDurationMs)}) must be greater than ${names.renewDeadlineMs} (${seconds(renewDeadlineMs)}): others may take the lease only after the holder has given up`;
  }
  if (renewDeadlineMs + removalBudgetMs >= leaseDurationMs) {
    return `${names.leaseDurationMs} (${seconds(leaseDurationMs)}) must exceed ${names.renewDeadlineMs} (${seconds(renewDeadlineMs)}) by more than ${seconds(removalBudgetMs)}, the time to take a VIP off a node`;
  }
  if (renewDeadlineMs <= retryPeriodMs * jitterFactor) {
    return `${names.renewDeadlineMs} (${seconds(renewDeadlineMs)}) must be greater than ${names.retryPeriodMs} × ${jitterFactor} (${seconds(retryPeriodMs * jitterFactor)}): one lost renewal must not end a tenure`;
  }
  return undefined;
}

/**
 * How long a successful write is good for, milliseconds from the moment it was sent. A holder of client-go tries for
 * a renew deadline that begins a retry period after its last success, so this is their sum; but while client-go counts
 * from the answer, and so beyond the lease duration when answers are slow, this never leaves the lease's first four fifths
 * unless the renew deadline itself does. With the usual ratios (15/10/2, 5/3/1) both are the same.
 */
export function tenureMs({ leaseDurationMs, renewDeadlineMs, retryPeriodMs }: Timings): number {
  return Math.max(renewDeadlineMs, Math.min(retryPeriodMs + renewDeadlineMs, leaseDurationMs * tenureShare));
}

/**
 * How long one call may take. The first renewal after a success starts a retry period later; a third of what is left
 * until the end of the tenure is kept for a second try. An API server that needs almost half a tenure for
 * each call can still be lived with: every renewal then follows the one before at once.
 */
export function attemptTimeoutMs(timings: Timings): number {
  return ((tenureMs(timings) - timings.retryPeriodMs) * 2) / 3;
}
