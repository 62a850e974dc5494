// npm run soak -- [--minutes 30] [--seed N] …  What it does and finds: docs/lab.md.
import { ensurePrivilege, waitFor } from '../../lab/index.ts';
import { seededRandom } from '../sim/election/world/random.ts';
import { sampleOf } from './curves.ts';
import { Driver } from './driver.ts';
import { Model } from './model.ts';
import { parseOptions, usage, type SoakOptions } from './options.ts';
import { conclude, Outcome } from './report.ts';
import { findProblems } from './settled.ts';
import { Site } from './site.ts';

/** One quiet moment after another until the time is over, or something is wrong. */
async function soak(site: Site, driver: Driver, model: Model, seen: Outcome): Promise<void> {
  const { minutes, rounds, steps, settle } = site.options;
  const until = performance.now() + minutes * 60_000;
  while (performance.now() < until && seen.rounds < rounds && seen.violations.length === 0) {
    seen.rounds++;
    driver.note(`round ${seen.rounds}`);
    await driver.round(steps);
    await site.heal();
    driver.note(`round ${seen.rounds} over: ${model.services.size} Services`);
    const took = await settled(site, model, settle * 1000);
    if (typeof took === 'number') seen.longestSettleMs = Math.max(seen.longestSettleMs, took);
    else for (const text of took) seen.violated(text);
    site.watch.look();
    for (const overlap of site.watch.overlaps.splice(0)) seen.violated(textOf(overlap));
    for (const text of unexpectedEnds(site)) seen.violated(text);
    const verdict =
      typeof took === 'number' ? `settled after ${(took / 1000).toFixed(1)} s` : 'NEVER settled';
    console.log(`round ${seen.rounds}: ${model.services.size} Services, ${verdict}`);
    seen.samples.push(await sampleOf(site, site.oldest, model.services.size));
    await driver.breathe();
  }
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
    const outcome = new Outcome();
    try {
      await soak(site, driver, model, outcome);
    } catch (error) {
      outcome.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    return conclude(site, driver, outcome);
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
