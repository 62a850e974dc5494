/** What happened to one probe. Times are wall-clock milliseconds with fractions. */
export interface Probe {
  readonly sentAt: number;
  /** Undefined: never answered. */
  readonly answeredAt: number | undefined;
  readonly by: string | undefined;
}

export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** Consecutive probes without an answer in time: from the first lost one to the next one that was answered. */
export interface Gap extends Interval {
  readonly lost: number;
  /** The measurement ended before an answer came. */
  readonly open: boolean;
}

/** A stretch in which one node answered. */
export interface Answers extends Interval {
  readonly by: string;
  readonly count: number;
}

export interface Analysis {
  readonly sent: number;
  readonly answered: number;
  /** Answered, but later than `lateMs`: counted as lost. */
  readonly late: number;
  /** Gaps longer than `reportMs`, in order of time. */
  readonly gaps: readonly Gap[];
  /** 0 when nothing was lost. */
  readonly longestGapMs: number;
  readonly answers: readonly Answers[];
}

export interface AnalysisOptions {
  /** An answer after this many milliseconds is no answer. */
  readonly lateMs: number;
  readonly reportMs: number;
  /** When the last probe's time was up. */
  readonly endedAt: number;
}

/** How much of an interval is covered by these others, which are disjoint. */
function covered(interval: Interval, others: readonly Interval[]): number {
  return others.reduce((sum, other) => {
    return sum + Math.max(0, Math.min(interval.to, other.to) - Math.max(interval.from, other.from));
  }, 0);
}

/**
 * Turns probes (in order of sending) into gaps and answerers. `stalls` are the times in which the prober itself did
 * not run; they are no fault of the network and are taken off an answer's latency.
 */
export function analyse(
  probes: readonly Probe[],
  stalls: readonly Interval[],
  options: AnalysisOptions,
): Analysis {
  const gaps: Gap[] = [];
  const answers: { by: string; from: number; to: number; count: number }[] = [];
  let [answered, late, lost] = [0, 0, 0];
  let lostSince: number | undefined;
  const close = (to: number, open: boolean): void => {
    if (lostSince !== undefined) gaps.push({ from: lostSince, to, lost, open });
    lostSince = undefined;
    lost = 0;
  };
  for (const { sentAt, answeredAt, by } of probes) {
    const inTime =
      answeredAt !== undefined && latency(sentAt, answeredAt, stalls, options.lateMs) <= options.lateMs;
    if (answeredAt !== undefined && !inTime) late++;
    if (!inTime || by === undefined) {
      lostSince ??= sentAt;
      lost++;
      continue;
    }
    answered++;
    close(sentAt, false);
    const last = answers.at(-1);
    if (last?.by === by) {
      last.to = sentAt;
      last.count++;
    } else {
      answers.push({ by, from: sentAt, to: sentAt, count: 1 });
    }
  }
  close(options.endedAt, true);
  return {
    sent: probes.length,
    answered,
    late,
    gaps: gaps.filter((gap) => gap.to - gap.from > options.reportMs),
    longestGapMs: gaps.reduce((longest, gap) => Math.max(longest, gap.to - gap.from), 0),
    answers,
  };
}

function latency(sentAt: number, answeredAt: number, stalls: readonly Interval[], enough: number): number {
  const raw = answeredAt - sentAt;
  return raw <= enough ? raw : raw - covered({ from: sentAt, to: answeredAt }, stalls);
}
