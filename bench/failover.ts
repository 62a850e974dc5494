// npm run bench -- failover [--reps 20] [--scenario crash,power] [--lease 5/3/1,5/3/1+expire,15/10/2] [--keepalived 1,0.1]
//                           [--api real|embedded] [--json FILE]
// How long a client cannot reach the VIP, and how long two nodes hold it, when something goes wrong.
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  Cluster,
  HolderWatch,
  Prober,
  clusterPrograms,
  ensureComponents,
  ensurePrivilege,
  peerTools,
  whyMissing,
} from '../lab/index.ts';
import type { LeaseTimes } from '../lab/index.ts';
import { formatTable, summarise } from './failover/figures.ts';
import type { Row, Sample } from './failover/figures.ts';
import { scenarios } from './failover/scenarios.ts';
import type { Scenario } from './failover/scenarios.ts';
import { Keepalived, KubeVip } from './failover/subject.ts';
import type { Subject } from './failover/subject.ts';

const { values } = parseArgs({
  options: {
    reps: { type: 'string', default: '20' },
    scenario: { type: 'string', default: '' },
    lease: { type: 'string', default: '5/3/1,15/10/2' },
    keepalived: { type: 'string', default: '1,0.1' },
    api: { type: 'string', default: 'real' },
    json: { type: 'string' },
  },
});

function fail(text: string): never {
  console.error(text);
  process.exit(1);
}

const list = (text: string): readonly string[] =>
  text.split(',').filter((word) => word !== '' && word !== 'none');

/** `+expire` behind the times is `vip_expire_with_lease`. */
function parseLease(text: string): readonly [times: LeaseTimes, expires: boolean] {
  const [, duration, renewDeadline, retryPeriod, expire] =
    /^(\d+)\/(\d+)\/(\d+)(\+expire)?$/.exec(text) ?? fail(`not a lease: ${text}`);
  const times = {
    duration: Number(duration),
    renewDeadline: Number(renewDeadline),
    retryPeriod: Number(retryPeriod),
  };
  return [times, expire !== undefined];
}

const reps = Number(values.reps);
if (!Number.isInteger(reps) || reps < 1) fail(`--reps must be a whole number above 0, not ${values.reps}`);
if (values.api !== 'real' && values.api !== 'embedded') fail('--api is real or embedded');
const wanted = list(values.scenario);
const unknown = wanted.filter((name) => !scenarios.some((scenario) => scenario.name === name));
if (unknown.length > 0) {
  fail(`no such scenario: ${unknown.join(', ')}; there are ${scenarios.map(({ name }) => name).join(', ')}`);
}
const leases = list(values.lease).map(parseLease);
const adverts = list(values.keepalived).map(Number);

const refused = ensurePrivilege();
if (refused !== undefined) fail(`The benchmark cannot make network namespaces: ${refused.because}`);
const needed = [
  ...['ip', 'nsenter', 'nft', 'openssl'],
  ...(values.api === 'real' ? clusterPrograms : []),
  ...(adverts.length > 0 ? peerTools : []),
];
const missing = whyMissing(await ensureComponents(needed, { say: (line) => console.log(`  ${line}`) }));
if (missing !== undefined) fail(`The benchmark lacks ${missing}`);

/** Steady state, fault, end; the measurement covers all of it. */
async function measure(cluster: Cluster, subject: Subject, scenario: Scenario): Promise<Sample> {
  const holder = await cluster.holder(subject.vip, subject.patienceMs);
  const watch = await HolderWatch.start(cluster.lab, subject.vip);
  const prober = await Prober.start(cluster.lab.client, subject.vip);
  const stage = { cluster, subject, prober, watch, holder };
  try {
    await prober.answering();
    await sleep(300);
    const extras = await scenario.act(stage);
    const [report, holders] = [await prober.stop(), await watch.stop()];
    const moved = report.answers.at(-1)?.by !== holder.name;
    return { gapMs: report.longestGapMs, twoHoldersMs: holders.twoHoldersMs, moved, extras };
  } finally {
    await Promise.all([prober.kill(), watch.kill()]);
    await scenario.repair?.(stage);
  }
}

async function runScenario(cluster: Cluster, subject: Subject, scenario: Scenario): Promise<Row> {
  const samples: Sample[] = [];
  const failures: string[] = [];
  for (let rep = 0; rep < reps; rep++) {
    try {
      const sample = await measure(cluster, subject, scenario);
      samples.push(sample);
      const two = sample.twoHoldersMs === 0 ? '' : `  two holders ${sample.twoHoldersMs.toFixed(1)} ms`;
      console.log(
        `  ${subject.name}  ${scenario.name}  ${rep + 1}/${reps}  gap ${sample.gapMs.toFixed(1)} ms${two}`,
      );
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
      console.log(
        `  ${subject.name}  ${scenario.name}  ${rep + 1}/${reps}  FAILED: ${failures.at(-1) ?? ''}`,
      );
      // What is broken must not spoil the next repetition.
      await subject.stop().catch(() => undefined);
      await subject.start();
    }
    await sleep(500);
  }
  return { subject: subject.name, scenario: scenario.name, title: scenario.title, samples, failures };
}

async function runSubject(cluster: Cluster, subject: Subject): Promise<readonly Row[]> {
  await subject.start();
  const rows: Row[] = [];
  for (const scenario of scenarios) {
    if (wanted.length > 0 && !wanted.includes(scenario.name)) continue;
    if (scenario.kubeVipOnly && subject.kind !== 'kube-vip') continue;
    rows.push(await runScenario(cluster, subject, scenario));
  }
  await subject.stop();
  return rows;
}

const cluster = await Cluster.start({ api: values.api });
const rows: Row[] = [];
try {
  await cluster.startResponders();
  for (const [times, expires] of leases)
    rows.push(...(await runSubject(cluster, new KubeVip(cluster, times, expires))));
  for (const seconds of adverts) rows.push(...(await runSubject(cluster, new Keepalived(cluster, seconds))));
} finally {
  await cluster.stop();
}

const order = (row: Row): number => scenarios.findIndex((scenario) => scenario.name === row.scenario);
rows.sort((a, b) => order(a) - order(b));
console.log(`\n${formatTable(rows)}`);
const date = new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-');
const file = values.json ?? path.join(import.meta.dirname, 'results', `failover-${date}.json`);
mkdirSync(path.dirname(file), { recursive: true });
const machine = { kernel: os.release(), cores: os.availableParallelism(), node: process.version };
const results = rows.map((row) => ({
  ...row,
  gapMs: summarise(row.samples.map((sample) => sample.gapMs)),
  twoHoldersMs: summarise(row.samples.map((sample) => sample.twoHoldersMs)),
}));
writeFileSync(file, `${JSON.stringify({ date, api: values.api, machine, reps, results }, null, 2)}\n`);
console.log(`\n${file}`);
if (rows.some((row) => row.failures.length > 0)) process.exitCode = 1;
