import type { FileResult } from './record.ts';
import type { Job } from './schedule.ts';

/** More than these are no accident. */
const MOST_FILES = 3;

const hasFailed = ({ records }: FileResult): boolean => records.some(({ outcome }) => outcome === 'failed');

/**
 * The failed files that are run once more, alone, when everything else is over. Tests of real kernels and API servers keep deadlines on
 * a machine that other files keep busy, so one of them that fails in company has not said yet which of the two is to blame.
 * What only computes has no such excuse, and with more than three failures none has.
 */
export function worthASecondRun(jobs: readonly Job[], results: readonly FileResult[]): readonly Job[] {
  const failed = new Set(results.filter(hasFailed).map(({ file }) => file));
  if (failed.size > MOST_FILES) return [];
  const chosen = jobs.filter(({ file }) => failed.has(file));
  return chosen.every(({ kind }) => kind.needs !== 'nothing') ? chosen : [];
}

/** The results with those of second runs in place of the first, and the names of tests that failed in the first only. */
export function withSecondRun(
  first: readonly FileResult[],
  second: readonly FileResult[],
): { readonly results: readonly FileResult[]; readonly unsteady: readonly string[] } {
  const again = new Map(second.map((result) => [result.file, result]));
  const results = first.map((result) => again.get(result.file) ?? result);
  const unsteady = first
    .filter(
      (result) => hasFailed(result) && again.has(result.file) && !hasFailed(again.get(result.file) ?? result),
    )
    .flatMap(({ file, records }) =>
      records.filter(({ outcome }) => outcome === 'failed').map(({ name }) => `${file}: ${name}`),
    );
  return { results, unsteady };
}
