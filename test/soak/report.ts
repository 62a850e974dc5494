import { cpSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ENOUGH, type Trend } from './curves.ts';
import type { Driver } from './driver.ts';
import type { Site } from './site.ts';

export interface Violation {
  readonly round: number;
  readonly text: string;
}

export function printTrends(trends: readonly Trend[], samples: number): void {
  console.log(
    `\n${'figure'.padEnd(20)} ${'first third'.padStart(12)} ${'last third'.padStart(12)} ${'highest'.padStart(10)}`,
  );
  for (const { name, first, last, highest, grew } of trends) {
    const verdict = grew === undefined ? '' : grew ? '  GREW' : '  flat';
    console.log(
      `${name.padEnd(20)} ${first.toFixed(1).padStart(12)} ${last.toFixed(1).padStart(12)} ${highest.toFixed(1).padStart(10)}${verdict}`,
    );
  }
  if (samples < ENOUGH) console.log(`not judged: ${samples} looks of at least ${ENOUGH}`);
}

/** What happened, in order, and what every process said. */
export function saveLogs(site: Site, driver: Driver, folder: string): void {
  const lines = driver.done.map(({ at, text }) => `${new Date(at).toISOString()} ${text}`);
  writeFileSync(path.join(folder, 'steps.txt'), `${lines.join('\n')}\n`);
  for (const node of site.nodes) {
    const log = path.join(node.dir, 'kube-vip.log');
    if (existsSync(log)) cpSync(log, path.join(folder, `${node.name}.log`));
  }
  cpSync(path.join(site.cluster.lab.dir, 'overlaps.log'), path.join(folder, 'addresses.log'));
}
