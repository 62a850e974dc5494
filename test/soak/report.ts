import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ENOUGH, trendsOf, type Sample, type Trend } from './curves.ts';
import type { Driver } from './driver.ts';
import type { Site } from './site.ts';

/** What was seen so far. */
export class Outcome {
  readonly violations: { readonly round: number; readonly text: string }[] = [];
  readonly samples: Sample[] = [];
  rounds = 0;
  longestSettleMs = 0;

  violated(text: string): void {
    this.violations.push({ round: this.rounds, text });
  }
}

/** Prints what was seen and writes what was asked for, and the logs when something was wrong. True when nothing was. */
export function conclude(site: Site, driver: Driver, outcome: Outcome): boolean {
  const { options, watch } = site;
  const { rounds, violations, samples, longestSettleMs } = outcome;
  const trends = trendsOf(samples);
  printTrends(trends, samples.length);
  console.log(`${rounds} rounds, ${driver.done.length} notes, ${watch.heard} changes of VIPs`);
  console.log(`settled after ${(longestSettleMs / 1000).toFixed(1)} s at most`);
  console.log(`two holders with an excuse for ${(watch.longestExcusedMs / 1000).toFixed(1)} s at most`);
  for (const { round, text } of violations) console.log(`VIOLATION in round ${round}: ${text}`);
  const grown = trends.filter(({ grew }) => grew === true);
  for (const { name } of grown) console.log(`GREW: ${name}`);
  const isGood = violations.length === 0 && grown.length === 0;
  if (options.out === undefined && isGood) return true;

  const folder = options.out ?? path.join(tmpdir(), `kube-vip-soak-${options.seed}`);
  mkdirSync(folder, { recursive: true });
  const report = {
    options: { ...options, features: [...options.features] },
    ...{ rounds, violations, longestSettleMs, trends, samples },
    steps: driver.done,
  };
  writeFileSync(path.join(folder, 'report.json'), `${JSON.stringify(report, undefined, 1)}\n`);
  if (!isGood) saveLogs(site, driver, folder);
  console.log(`written to ${folder}; the same steps again: npm run soak -- --seed ${options.seed} …`);
  return isGood;
}

function printTrends(trends: readonly Trend[], samples: number): void {
  console.log(
    `\n${'figure'.padEnd(20)} ${'first third'.padStart(12)} ${'last third'.padStart(12)} ${'highest'.padStart(10)}`,
  );
  for (const { name, first, last, highest, grew } of trends) {
    const verdict = grew === undefined ? '' : grew ? '  GREW' : '  flat';
    const figures = [
      first.toFixed(1).padStart(12),
      last.toFixed(1).padStart(12),
      highest.toFixed(1).padStart(10),
    ];
    console.log(`${name.padEnd(20)} ${figures.join(' ')}${verdict}`);
  }
  if (samples < ENOUGH) console.log(`not judged: ${samples} looks of at least ${ENOUGH}`);
}

/** What happened, in order, and what every process said. */
function saveLogs(site: Site, driver: Driver, folder: string): void {
  const lines = driver.done.map(({ at, text }) => `${new Date(at).toISOString()} ${text}`);
  writeFileSync(path.join(folder, 'steps.txt'), `${lines.join('\n')}\n`);
  for (const node of site.nodes) {
    const log = path.join(node.dir, 'kube-vip.log');
    if (existsSync(log)) cpSync(log, path.join(folder, `${node.name}.log`));
  }
  cpSync(path.join(site.cluster.lab.dir, 'overlaps.log'), path.join(folder, 'addresses.log'));
}
