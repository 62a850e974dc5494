// npm run bench -- balancer [--quick] [--rounds 28] [--seconds 1] [--clients 128] [--realtime] [--only requests,multiplexed,connections,bulk,removal,change]
//                           [--paths direct,router,...] [--json FILE]
// What balancing in the kernel costs: our two nftables modes beside hand-written rules, a router, haproxy and IPVS.
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureComponents, ensurePrivilege, whyMissing } from '../lab/index.ts';
import { measureChange } from './balancer/change.ts';
import { kinds, measure, type Kind, type Sample } from './balancer/measure.ts';
import { pathNames, preparePaths, type Path, type PathName } from './balancer/paths.ts';
import { farewells, removeUnderLoad, total, type Farewell } from './balancer/removal.ts';
import { format, goals, medianOf, type Results } from './balancer/report.ts';
import { useRealTime } from './balancer/priority.ts';
import { Site } from './balancer/site.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string', default: '1' },
    clients: { type: 'string', default: '128' },
    realtime: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    paths: { type: 'string', default: '' },
    json: { type: 'string' },
  },
});

function fail(text: string): never {
  console.error(text);
  process.exit(1);
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) fail(`--${option} must be a whole number above 0, not ${text}`);
  return value;
}

function choose<T extends string>(option: string, text: string, from: readonly T[]): readonly T[] {
  const words = text.split(',').filter((word) => word !== '');
  const unknown = words.filter((word) => !from.some((each) => each === word));
  if (unknown.length > 0) fail(`--${option}: no ${unknown.join(', ')}; there are ${from.join(', ')}`);
  return words.length === 0 ? from : from.filter((each) => words.includes(each));
}

const rounds = count('rounds', values.rounds ?? (values.quick ? '4' : '28'));
const options = { seconds: count('seconds', values.seconds), clients: count('clients', values.clients) };
const parts = choose('only', values.only, [...kinds, 'removal', 'change']);
const wanted = choose('paths', values.paths, pathNames);
/** What is only there to compare with, and bulk data, is not measured in every round. */
const every = values.quick ? 2 : 5;

if (values.realtime) useRealTime();
const refused = ensurePrivilege();
if (refused !== undefined) fail(`The benchmark cannot make network namespaces: ${refused.because}`);
const needed = [
  'ip',
  'ss',
  'nsenter',
  'setsid',
  'chrt',
  'nft',
  'conntrack',
  'wrk',
  'iperf3',
  'haproxy',
  'nginx',
];
const lacking = whyMissing(await ensureComponents(needed, { say: (line) => console.log(`  ${line}`) }));
if (lacking !== undefined) fail(`The benchmark lacks ${lacking}`);

const slices = new Map<string, Map<number, Sample>>();
const slicesOf = (name: PathName, kind: Kind): Map<number, Sample> => {
  const key = `${name} ${kind}`;
  const found = slices.get(key) ?? new Map<number, Sample>();
  slices.set(key, found);
  return found;
};

async function runRound(site: Site, paths: readonly Path[], round: number): Promise<void> {
  const isFull = round % every === 0;
  for (const kind of kinds.filter((each) => parts.includes(each))) {
    if (kind === 'bulk' && !isFull) continue;
    const due = paths.filter(({ isMain }) => isMain || isFull);
    const rates: string[] = [];
    // There and back again: who comes first in a pair takes turns.
    for (const each of round % 2 === 0 ? due : due.toReversed()) {
      const sample = await measure(site.client, each, kind, options);
      slicesOf(each.name, kind).set(round, sample);
      rates.push(`${each.name} ${sample.rate.toFixed(kind === 'bulk' ? 1 : 0)}`);
    }
    console.log(`  ${round + 1}/${rounds} ${kind}: ${rates.join(', ')}`);
  }
}

async function runRemovals(site: Site, paths: readonly Path[]): Promise<Results['removals']> {
  const ours = paths.filter(({ name }) => name === 'translating' || name === 'direct-return');
  const results: Results['removals'][number][] = [];
  for (const each of ours) {
    for (const how of Object.keys(farewells) as readonly Farewell[]) {
      const reports = [];
      for (let n = 0; n < (values.quick ? 1 : 3); n++) reports.push(await removeUnderLoad(site, each, how));
      const report = {
        fresh: total(reports.map(({ fresh }) => fresh)),
        kept: total(reports.map(({ kept }) => kept)),
      };
      results.push({ path: each.name, how, report });
      console.log(`  ${each.name}, a back-end is ${how}: ${report.fresh.failed + report.kept.failed} failed`);
    }
  }
  return results;
}

async function runChanges(site: Site): Promise<Results['changes']> {
  const machine = site.holder(pathNames.indexOf('direct'));
  const times = values.quick ? 50 : 200;
  return [
    { path: 'translating', times: await measureChange(machine, 'masquerade', times) },
    { path: 'direct-return', times: await measureChange(machine, 'directroute', times) },
  ];
}

const site = await Site.start(pathNames.length);
let results: Results;
try {
  const { paths, missing } = await preparePaths(site, wanted);
  for (let round = 0; round < rounds; round++) await runRound(site, paths, round);
  results = {
    paths,
    missing,
    slices: slicesOf,
    removals: parts.includes('removal') ? await runRemovals(site, paths) : [],
    changes: parts.includes('change') ? await runChanges(site) : [],
  };
} finally {
  await site.stop();
}

console.log(`\n${format(results)}`);
const date = new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-');
const file = values.json ?? path.join(import.meta.dirname, 'results', `balancer-${date}.json`);
mkdirSync(path.dirname(file), { recursive: true });
const [cpu] = os.cpus();
const machine = {
  kernel: os.release(),
  cpu: cpu?.model,
  cores: os.availableParallelism(),
  node: process.version,
};
const document = {
  date,
  machine,
  options: { rounds, ...options, realtime: values.realtime },
  paths: results.paths.map(({ name, title }) => ({
    name,
    title,
    ...Object.fromEntries(
      kinds.map((kind) => {
        const all = slicesOf(name, kind);
        const medians = (['rate', 'p50', 'p99', 'p999', 'cpuUs'] as const).map((of) => [
          of,
          medianOf(all, of),
        ]);
        return [kind, { ...Object.fromEntries(medians), slices: Object.fromEntries(all) }];
      }),
    ),
  })),
  missing: Object.fromEntries(results.missing),
  removals: results.removals,
  changes: results.changes,
  goals: goals(results),
};
writeFileSync(file, `${JSON.stringify(document, undefined, 2)}\n`);
console.log(`\n${file}`);
