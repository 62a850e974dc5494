// npm run soak -- [--minutes 30] [--seed N] …  What it does and finds: docs/lab.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensurePrivilege, waitFor } from '../../lab/index.ts';
import { seededRandom } from '../sim/election/world/random.ts';
import { sampleOf, trendsOf, type Sample } from './curves.ts';
import { Driver } from './driver.ts';
import { Model } from './model.ts';
import { parseOptions, usage, type SoakOptions } from './options.ts';
import { printTrends, saveLogs, type Violation } from './report.ts';
import { findProblems } from './settled.ts';
import { Site } from './site.ts';

interface Outcome {
  readonly rounds: number;
  readonly violations: readonly Violation[];
  readonly samples: readonly Sample[];
  readonly longestSettleMs: number;
}

/** One quiet moment after another until the time is over, or something is wrong. */
async function soak(site: Site, driver: Driver, model: Model): Promise<Outcome> {
  const { minutes, rounds, steps, settle } = site.options;
  const until = performance.now() + minutes * 60_000;
  const samples: Sample[] = [];
  const violations: Violation[] = [];
  let round = 0;
  let longestSettleMs = 0;
  while (performance.now() < until && round < rounds && violations.length === 0) {
    round++;
    driver.note(`round ${round}`);
    await driver.round(steps);
    await site.heal();
    driver.note(`round ${round} over: ${model.services.size} Services`);
    const took = await settled(site, model, settle * 1000);
    if (typeof took === 'number') longestSettleMs = Math.max(longestSettleMs, took);
    else violations.push(...took.map((text) => ({ round, text })));
    site.watch.look();
    violations.push(...site.watch.overlaps.splice(0).map((overlap) => ({ round, text: textOf(overlap) })));
    violations.push(...unexpectedEnds(site).map((text) => ({ round, text })));
    samples.push(await sampleOf(site, site.oldest, model.services.size));
    console.log(
      `round ${round}: ${model.services.size} Services, settled after ${typeof took === 'number' ? `${(took / 1000).toFixed(1)} s` : 'NEVER'}`,
    );
    await driver.breathe();
  }
  return { rounds: round, violations, samples, longestSettleMs };
}

/** Where it takes longer, what took so long is said: an address that leaves a lease which others need waits 16 s (ADR 9). */
const SLOW_MS = 20_000;

/** How long it took, milliseconds; or what is still wrong. */
async function settled(site: Site, model: Model, timeoutMs: number): Promise<number | readonly string[]> {
  const began = performance.now();
  let problems: readonly string[] = ['nothing could be seen'];
  try {
    await waitFor(
      async () => {
        const found = await findProblems(site, model);
        if (found.length > 0) problems = found;
        return found.length === 0;
      },
      { what: 'the cluster to settle', timeoutMs, everyMs: 500 },
    );
    const took = performance.now() - began;
    if (took > SLOW_MS) for (const problem of problems) console.log(`  to the last: ${problem}`);
    return took;
  } catch (error) {
    const { cause } = error as Error;
    return cause instanceof Error ? [...problems, String(cause)] : problems;
  }
}

function textOf({ vip, nodes, from, to }: Site['watch']['overlaps'][number]): string {
  return `${vip} on ${nodes.join(' and ')} for ${(to - from).toFixed(1)} ms at ${new Date(from).toISOString()}`;
}

/** A process may end by our signals (a start that is asked to end at once has no exit status), and does not start while its link is down. */
function unexpectedEnds(site: Site): readonly string[] {
  return site.nodes.flatMap((node) => {
    const daemon = site.daemon(node);
    let withoutLink = daemon.log().split('\nError: eth0 is not valid interface').length - 1;
    const ends = daemon.exits.filter(({ code, signal }) => {
      if (signal === 'SIGKILL' || signal === 'SIGTERM' || code === 0) return false;
      return code !== 1 || withoutLink-- <= 0;
    });
    return ends.map(
      ({ code, signal }) => `the process on ${node.name} ended: ${code ?? signal ?? 'somehow'}`,
    );
  });
}

async function main(options: SoakOptions): Promise<boolean> {
  const refused = ensurePrivilege();
  if (refused !== undefined) throw new Error(`no network namespaces: ${refused.because}`);
  console.log(
    `soak: seed ${options.seed}, ${options.minutes} min, ${options.api} API, with ${[...options.features].join() || 'nothing more'}`,
  );
  const site = await Site.start(options);
  try {
    const model = new Model();
    const driver = new Driver({ site, model, random: seededRandom(options.seed) });
    let outcome: Outcome;
    try {
      outcome = await soak(site, driver, model);
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      outcome = { rounds: 0, violations: [{ round: 0, text }], samples: [], longestSettleMs: 0 };
    }
    const trends = trendsOf(outcome.samples);
    printTrends(trends, outcome.samples.length);
    const grown = trends.filter(({ grew }) => grew === true);
    console.log(
      `${outcome.rounds} rounds, ${driver.done.length} notes, ${site.watch.heard} changes of VIPs; settled after ${(outcome.longestSettleMs / 1000).toFixed(1)} s at most; two holders with an excuse for ${(site.watch.longestExcusedMs / 1000).toFixed(1)} s at most`,
    );
    for (const { round, text } of outcome.violations) console.log(`VIOLATION in round ${round}: ${text}`);
    for (const { name } of grown) console.log(`GREW: ${name}`);
    const isGood = outcome.violations.length === 0 && grown.length === 0;
    if (options.out !== undefined || !isGood) {
      const folder = options.out ?? path.join(tmpdir(), `kube-vip-soak-${options.seed}`);
      mkdirSync(folder, { recursive: true });
      const report = { options: { ...options, features: [...options.features] }, ...outcome, trends };
      writeFileSync(
        path.join(folder, 'report.json'),
        `${JSON.stringify({ ...report, steps: driver.done }, undefined, 1)}\n`,
      );
      if (!isGood) saveLogs(site, driver, folder);
      console.log(`written to ${folder}; again: npm run soak -- --seed ${options.seed} …`);
    }
    return isGood;
  } finally {
    await site.cluster.stop();
  }
}

try {
  process.exitCode = (await main(parseOptions(process.argv.slice(2), Date.now() % 1_000_000))) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(usage);
  process.exitCode = 2;
}
