/** One finished test, as the reporter writes it. */
export interface TestRecord {
  /** Suite and test names joined with ` › `. */
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly ms: number;
  /** Why it was skipped. */
  readonly reason?: string;
  readonly error?: string;
}

/**
 * What the reporter writes: a finished test, something a test wanted to be read (`t.diagnostic`), or at the end the
 * CPU time of the file and of all that it started and waited for.
 */
export type ReportLine = TestRecord | { readonly note: string } | { readonly cpuSeconds: number };

/** What became of one test file. */
export interface FileResult {
  readonly file: string;
  readonly records: readonly TestRecord[];
  /** Figures and seeds that tests gave out with `t.diagnostic`. */
  readonly notes: readonly string[];
  /** By the clock on the wall. */
  readonly seconds: number;
  /** User and system time, children included; 0 when the file was killed. */
  readonly cpuSeconds: number;
  /** What the process printed; shown when something failed. */
  readonly output: string;
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function totals(results: readonly FileResult[]): Totals {
  const count = (outcome: TestRecord['outcome']): number =>
    results.reduce(
      (sum, result) => sum + result.records.filter((record) => record.outcome === outcome).length,
      0,
    );
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
}

/** Skipped tests by reason, in the order the reasons were met. */
export function skipsByReason(results: readonly FileResult[]): ReadonlyMap<string, readonly string[]> {
  const byReason = new Map<string, string[]>();
  for (const { file, records } of results) {
    for (const record of records) {
      if (record.outcome !== 'skipped') continue;
      const reason = record.reason ?? 'no reason given';
      byReason.set(reason, [...(byReason.get(reason) ?? []), `${file}: ${record.name}`]);
    }
  }
  return byReason;
}
