// npm run demo [-- --real]: three nodes, one virtual IP, and what happens when its holder dies.
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Cluster,
  HolderWatch,
  Prober,
  clusterPrograms,
  ensureComponents,
  ensurePrivilege,
  waitFor,
  whyMissing,
} from './index.ts';
import type { Gap, HolderReport, Machine, ProbeReport } from './index.ts';
import { bold, cyan, dim, formatMs, green, red, terminalWidth, yellow } from './terminal.ts';
import { drawTimeline } from './timeline.ts';
import type { TimelineMark } from './timeline.ts';

const { values } = parseArgs({ options: { real: { type: 'boolean', default: false } } });
const lease = { duration: 5, renewDeadline: 3, retryPeriod: 1 };
const startedAt = performance.now();

function say(topic: string, text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  console.log(`${dim(`${seconds} s`)}  ${cyan(topic.padEnd(9))} ${text}`);
}

function fail(text: string): never {
  console.error(red(text));
  process.exit(1);
}

const refused = ensurePrivilege();
if (refused !== undefined) fail(`The demo cannot make network namespaces: ${refused.because}`);

console.log(bold('kube-vip: three control-plane nodes, one virtual IP\n'));
await needComponents();
const cluster = await Cluster.start({ api: values.real ? 'real' : 'embedded' });
try {
  await show();
} catch (error) {
  console.error(red(error instanceof Error ? error.message : String(error)));
  process.exitCode = 1;
} finally {
  await cluster.stop();
  say('clean-up', 'every process, namespace and file of the demo is gone');
}

async function needComponents(): Promise<void> {
  const names = ['ip', 'nsenter', 'nft', ...(values.real ? ['openssl', ...clusterPrograms] : [])];
  const because = whyMissing(await ensureComponents(names, { say: (line) => say('set-up', line) }));
  if (because !== undefined) fail(`The demo lacks ${because}`);
}

async function show(): Promise<void> {
  const { lab } = cluster;
  const vip = lab.plan.vip(0);
  const marks: TimelineMark[] = [];
  say(
    'network',
    `${lab.nodes.map((node) => `${node.name} ${node.ipv4}`).join(', ')} on one bridge, client ${lab.client.ipv4}`,
  );
  say(
    'api',
    values.real
      ? 'etcd and kube-apiserver on every node'
      : 'embedded API server (--real: etcd + kube-apiserver)',
  );

  await cluster.startResponders();
  const watch = await HolderWatch.start(lab, vip);
  const prober = await Prober.start(lab.client, vip);
  const began = Date.now();
  marks.push({ at: began, label: 'kube-vip manager started on every node' });
  const { duration, renewDeadline, retryPeriod } = lease;
  say(
    'start',
    `kube-vip manager on every node; lease ${duration} s, renew ${renewDeadline} s, retry ${retryPeriod} s`,
  );
  await cluster.startDaemons({ vip, lease });
  const first = await cluster.holder(vip);
  await prober.answering();
  const took = (watch.report().segments.find((each) => each.holders.length > 0)?.from ?? began) - began;
  say(
    'elected',
    `${bold(first.name)} holds ${bold(vip)} after ${formatMs(took)} ms; the lease names ${String(await cluster.leaseHolder())}`,
  );
  await sleep(1_000);
  const { probesPerSecond } = await prober.report();
  say(
    'traffic',
    `${formatMs(probesPerSecond)} probes a second from the client through ${vip}, answered by ${first.name}`,
  );

  await powerCut(first, prober, marks);
  await deleteByHand(prober, watch, marks);
  await gracefulStop(prober, marks);
  await sleep(700);

  const [report, holders] = [await prober.stop(), await watch.stop()];
  draw(report, holders, marks, began);
}

async function powerCut(holder: Machine, prober: Prober, marks: TimelineMark[]): Promise<void> {
  const label = `power cut: ${holder.name} loses its link, all its processes are killed`;
  marks.push({ at: Date.now(), label });
  say('fault', yellow(label));
  const at = Date.now();
  await cluster.powerOff(holder);
  await sayMoved(
    holder,
    prober,
    at,
    `a dead holder cannot say goodbye: its lease of ${lease.duration} s has to run out`,
  );
  marks.push({ at: Date.now(), label: `${holder.name} is switched on again` });
  await cluster.powerOn(holder);
  say('repair', `${holder.name} is back and stands by`);
}

async function deleteByHand(prober: Prober, watch: HolderWatch, marks: TimelineMark[]): Promise<void> {
  const holder = await cluster.holder();
  const label = `by hand on ${holder.name}: ip addr del ${cluster.lab.plan.vip(0)}`;
  marks.push({ at: Date.now(), label });
  say('fault', yellow(label));
  const at = Date.now();
  await holder.deleteAddress(cluster.lab.plan.vip(0));
  await sleep(1_000);
  await prober.answering();
  await watch.flush();
  const { longestNoHolderMs } = watch.report({ from: at });
  const gap = bold(green(`${formatMs(await gapSince(prober, at))} ms`));
  const off = longestNoHolderMs < 1 ? 'less than 1 ms' : `${formatMs(longestNoHolderMs)} ms`;
  say('restored', `gap ${gap}; the address was off the link for ${off}`);
}

async function gracefulStop(prober: Prober, marks: TimelineMark[]): Promise<void> {
  const holder = await cluster.holder();
  const label = `graceful stop: SIGTERM to kube-vip on ${holder.name}`;
  marks.push({ at: Date.now(), label });
  say('fault', yellow(label));
  const at = Date.now();
  await cluster.daemon(holder).stop();
  await sayMoved(holder, prober, at, 'VIP off, lease released, next node told at once');
}

async function sayMoved(from: Machine, prober: Prober, at: number, why: string): Promise<void> {
  const next = await waitFor(
    () => (prober.live.by !== from.name && (prober.live.at ?? 0) > at ? prober.live.by : undefined),
    { what: 'another node to answer', timeoutMs: 30_000 },
  );
  const gap = await gapSince(prober, at);
  say('moved', `${bold(next)} answers; gap ${bold(green(`${formatMs(gap)} ms`))}  ${dim(`(${why})`)}`);
}

/** Longest gap that ended after this moment. */
async function gapSince(prober: Prober, at: number): Promise<number> {
  // The first answers of the new holder must have been counted.
  await sleep(100);
  const { gaps } = await prober.report();
  return gaps.filter((gap) => gap.to > at).reduce((longest, gap) => Math.max(longest, gap.to - gap.from), 0);
}

function draw(
  report: ProbeReport,
  holders: HolderReport,
  marks: readonly TimelineMark[],
  from: number,
): void {
  const to = report.endedAt;
  const nodes = cluster.lab.controlPlanes.map((node) => node.name);
  const held = nodes.map((name) => ({
    label: `${name} holds`,
    on: holders.segments.filter((segment) => segment.holders.includes(name)),
    onGlyph: '█',
    offGlyph: '·',
    paint: (text: string, isOn: boolean) => (isOn ? green(text) : dim(text)),
  }));
  const traffic = {
    label: 'traffic',
    on: betweenGaps(report.gaps, from, to),
    since: report.answers[0]?.from ?? from,
    onGlyph: '─',
    offGlyph: '×',
    paint: (text: string, isOn: boolean) => (isOn ? text : red(text)),
  };
  console.log();
  const margin = 12;
  const lines = drawTimeline({ from, to, width: terminalWidth() - margin, rows: [...held, traffic], marks });
  console.log(lines.join('\n'));
  const two = holders.twoHoldersMs;
  const verdict = two === 0 ? green('never two holders') : red(`two holders for ${two.toFixed(1)} ms`);
  console.log(`\n${verdict}; ${formatMs(report.sent)} probes sent, ${formatMs(report.answered)} answered\n`);
}

function betweenGaps(
  gaps: readonly Gap[],
  from: number,
  to: number,
): readonly { from: number; to: number }[] {
  const edges = [from, ...gaps.flatMap((gap) => [gap.from, gap.to]), to];
  return Array.from({ length: edges.length / 2 }, (_, i) => ({
    from: edges[2 * i] ?? from,
    to: edges[2 * i + 1] ?? to,
  }));
}
