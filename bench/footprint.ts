// npm run bench -- footprint [--seconds 20] [--json FILE]
// What one daemon costs: time to readiness, memory, idle CPU, event-loop delay. The shipped bundle on a holder.
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Cluster, ensurePrivilege, waitFor, type Daemon } from '../lab/index.ts';
import { cpuSeconds, memory } from './process.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    starts: { type: 'string', default: '10' },
    json: { type: 'string' },
  },
});

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly budget: number;
}

/** Milliseconds from the start of the process to the moment it is ready: the lease has been read. */
async function readyMs(start: () => Daemon): Promise<number> {
  const started = performance.now();
  const daemon = start();
  const word = 'lease holder seen';
  const earlier = daemon.log().split(word).length;
  await waitFor(() => daemon.log().split(word).length > earlier, {
    what: 'the lease to be read',
    everyMs: 2,
  });
  const took = performance.now() - started;
  await daemon.stop();
  return took;
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const refused = ensurePrivilege();
if (refused !== undefined) {
  console.error(`The benchmark cannot make network namespaces: ${refused.because}`);
  process.exit(1);
}
const cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
try {
  const node = cluster.lab.node(0);
  const start = (): Daemon =>
    cluster.startDaemon(node, {
      lease: { duration: 15, renewDeadline: 10, retryPeriod: 2 },
      options: { program: 'dist', supervise: false },
    });
  const starts: number[] = [];
  for (let n = 0; n < Number(values.starts); n++) starts.push(await readyMs(start));
  starts.sort((a, b) => a - b);

  const daemon = start();
  await daemon.waitReady();
  await cluster.holder();
  await sleep(3000);
  const { pid } = daemon.process;
  const before = cpuSeconds(pid);
  await sleep(Number(values.seconds) * 1000);
  const idle = ((cpuSeconds(pid) - before) / Number(values.seconds)) * 100;
  const { privateMb, rssMb } = memory(pid);
  const metrics = (await daemon.http('/metrics'))?.body ?? '';
  const delay =
    Number(/event_loop_delay_seconds\{quantile="1"\} (\S+)/.exec(metrics)?.[1] ?? Number.NaN) * 1000;

  const figures: readonly Figure[] = [
    { name: 'ready after start, median', value: median(starts), unit: 'ms', budget: 150 },
    { name: 'ready after start, worst', value: starts.at(-1) ?? Number.NaN, unit: 'ms', budget: 150 },
    { name: 'private memory', value: privateMb, unit: 'MB', budget: 32 },
    { name: 'resident memory', value: rssMb, unit: 'MB', budget: 85 },
    { name: 'idle CPU of a holder', value: idle, unit: '%', budget: 0.2 },
    { name: 'event-loop delay, maximum', value: delay, unit: 'ms', budget: 20 },
  ];
  console.log('one daemon, holder, lease 15/10/2, embedded API server\n');
  for (const { name, value, unit, budget } of figures) {
    const verdict = value <= budget ? 'within' : 'OVER';
    console.log(
      `  ${name.padEnd(30)} ${value.toFixed(2).padStart(9)} ${unit.padEnd(3)} budget ${String(budget).padStart(4)}  ${verdict}`,
    );
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
} finally {
  await cluster.stop();
}
