import assert from 'node:assert/strict';
import { World } from './world/world.ts';
import type { SimOptions, SimReport } from './world/world.ts';

export interface RunsOptions extends Omit<SimOptions, 'seed' | 'faultsMs' | 'episodes'> {
  readonly firstSeed: number;
  readonly runs: number;
}

export interface RunsReport {
  readonly hours: number;
  readonly tenures: number;
  readonly twoHoldersMs: number;
  readonly longestTwoHoldersMs: number;
}

/** Two minutes of faults, then a quiet time, for each seed. Fails with seed and story of the first bad one. */
export async function runSeeds(options: RunsOptions): Promise<RunsReport> {
  const { firstSeed, runs, ...rest } = options;
  let total = { hours: 0, tenures: 0, twoHoldersMs: 0, longestTwoHoldersMs: 0 };
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const report = await new World({ ...rest, seed, faultsMs: 120_000, episodes: 1 }).run();
    assertClean(report);
    total = {
      hours: total.hours + report.simulatedMs / 3.6e6,
      tenures: total.tenures + report.tenures,
      twoHoldersMs: total.twoHoldersMs + report.twoHoldersMs,
      longestTwoHoldersMs: Math.max(total.longestTwoHoldersMs, report.longestTwoHoldersMs),
    };
  }
  return total;
}

/** The first of these seeds whose run breaks an invariant, and how; undefined when none does. */
export async function firstViolation(
  options: RunsOptions,
): Promise<{ readonly seed: number; readonly text: string } | undefined> {
  const { firstSeed, runs, ...rest } = options;
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const report = await new World({ ...rest, seed, faultsMs: 120_000, episodes: 1 }).run();
    const [text] = report.violations;
    if (text !== undefined) return { seed, text };
  }
  return undefined;
}

export function assertClean(report: SimReport): void {
  const story = report.history.join('\n');
  assert.equal(report.violations.join('\n'), '', `seed ${report.seed} broke an invariant:\n${story}`);
}
