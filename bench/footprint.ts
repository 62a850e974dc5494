// npm run bench -- footprint [--seconds 20] [--starts 10] [--services 500] [--json FILE]
// What one daemon costs: time to readiness, memory, idle CPU, event-loop delay. The shipped bundle on a holder, first of the
// control-plane VIP alone, then of as many Services besides.
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Cluster, ensurePrivilege, waitFor, type Daemon } from '../lab/index.ts';
import { cpuSeconds, memory } from './process.ts';
import { namespace, serviceObject, sliceObject, vipPrefix } from './services/objects.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    starts: { type: 'string', default: '10' },
    services: { type: 'string', default: '500' },
    json: { type: 'string' },
  },
});

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Undefined where none was set. */
  readonly budget: number | undefined;
}

/** A start is over, with its announcements, and what it left behind has been given back. */
const settleMs = 25_000;

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

/** What a daemon needs that has nothing to do. */
async function atRest(daemon: Daemon, idleBudget?: number): Promise<readonly Figure[]> {
  await sleep(settleMs);
  await daemon.http('/metrics'); // begins a new period for the delays
  const { pid } = daemon.process;
  const before = cpuSeconds(pid);
  await sleep(Number(values.seconds) * 1000);
  const idle = ((cpuSeconds(pid) - before) / Number(values.seconds)) * 100;
  const { privateMb, rssMb } = memory(pid);
  const metrics = (await daemon.http('/metrics'))?.body ?? '';
  const delay = Number(/event_loop_delay_seconds\{quantile="1"\} (\S+)/.exec(metrics)?.[1] ?? Number.NaN);
  return [
    { name: 'private memory', value: privateMb, unit: 'MB', budget: 32 },
    { name: 'resident memory', value: rssMb, unit: 'MB', budget: 85 },
    { name: 'idle CPU', value: idle, unit: '%', budget: idleBudget },
    { name: 'event-loop delay, maximum', value: delay * 1000, unit: 'ms', budget: 20 },
  ];
}

async function createServices({ api, lab }: Cluster, count: number): Promise<void> {
  const nodes = lab.controlPlanes.map(({ name }) => name);
  const services = `/api/v1/namespaces/${namespace}/services`;
  const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  await api.client.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
  for (let i = 0; i < count; i++) {
    await api.client.create(services, serviceObject(i, { withAddress: true }));
    await api.client.create(slices, sliceObject(i, nodes));
  }
}

function print(title: string, figures: readonly Figure[]): void {
  console.log(`\n${title}\n`);
  for (const { name, value, unit, budget } of figures) {
    const verdict =
      budget === undefined
        ? ''
        : `budget ${String(budget).padStart(4)}  ${value <= budget ? 'within' : 'OVER'}`;
    console.log(`  ${name.padEnd(30)} ${value.toFixed(2).padStart(9)} ${unit.padEnd(3)} ${verdict}`);
  }
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
  const start = (env: Readonly<Record<string, string>> = {}): Daemon =>
    cluster.startDaemon(node, {
      env,
      lease: { duration: 15, renewDeadline: 10, retryPeriod: 2 },
      options: { program: 'dist', supervise: false },
    });
  const starts: number[] = [];
  for (let n = 0; n < Number(values.starts); n++) starts.push(await readyMs(start));
  starts.sort((a, b) => a - b);

  const alone = start();
  await alone.waitReady();
  await cluster.holder();
  const control = [
    { name: 'ready after start, median', value: median(starts), unit: 'ms', budget: 150 },
    { name: 'ready after start, worst', value: starts.at(-1) ?? Number.NaN, unit: 'ms', budget: 150 },
    ...(await atRest(alone, 0.2)),
  ];
  await alone.stop();
  print('one daemon, holder, lease 15/10/2, embedded API server', control);

  const count = Number(values.services);
  await createServices(cluster, count);
  const serving = start({ svc_enable: 'true' });
  await serving.waitReady();
  const areAllHere = async (): Promise<boolean> =>
    (await node.addresses()).filter(({ local }) => local?.startsWith(vipPrefix) === true).length === count;
  await waitFor(areAllHere, { what: `${count} VIPs`, timeoutMs: 60_000 });
  const services = await atRest(serving);
  print(`the same with ${count} Services of five endpoints each`, services);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ control, services }, undefined, 2)}\n`);
} finally {
  await cluster.stop();
}
