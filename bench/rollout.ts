// npm run bench -- rollout [--reps 5] [--rate 200] [--scenario rollout-local,drain-local] [--linger 3] [--json FILE]
// What new connections notice while the copies behind a Service move: a rolling update, and a drain of the node that
// holds the VIP. Real API servers, kube-controller-manager and kube-proxy.
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  Cluster,
  DataPath,
  HolderWatch,
  Requests,
  clusterPrograms,
  dataPathPrograms,
  ensureComponents,
  ensurePrivilege,
  httpGet,
  waitFor,
  whyMissing,
} from '../lab/index.ts';
import type { HolderReport, LoadReport } from '../lab/index.ts';

const { values } = parseArgs({
  options: {
    reps: { type: 'string', default: '5' },
    rate: { type: 'string', default: '200' },
    scenario: { type: 'string', default: '' },
    linger: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});

function fail(text: string): never {
  console.error(text);
  process.exit(1);
}

type Policy = 'Local' | 'Cluster';

interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly policy: Policy;
  readonly run: (dataPath: DataPath, vip: string) => Promise<void>;
}

interface Sample {
  readonly scenario: string;
  readonly seconds: number;
  readonly load: LoadReport;
  /** How often the VIP changed its node, the longest time without one, and with two; milliseconds. */
  readonly moves: number;
  readonly nobodyMs: number;
  readonly twoHoldersMs: number;
}

const namespace = 'bench';
const replicas = 2;

const rollOut: Scenario['run'] = (dataPath) => dataPath.rollOut('web', namespace);
const drain: Scenario['run'] = async (dataPath, vip) => {
  const holder = await dataPath.cluster.holder(vip);
  await dataPath.drain(holder);
  await dataPath.ready({ app: 'web' }, replicas, 60_000);
  await dataPath.uncordon(holder);
};

const scenarios: readonly Scenario[] = [
  { name: 'rollout-local', title: 'rolling update, policy Local', policy: 'Local', run: rollOut },
  { name: 'drain-local', title: 'drain of the holder, policy Local', policy: 'Local', run: drain },
  { name: 'rollout-cluster', title: 'rolling update, policy Cluster', policy: 'Cluster', run: rollOut },
  { name: 'drain-cluster', title: 'drain of the holder, policy Cluster', policy: 'Cluster', run: drain },
];

const chosen = values.scenario.split(',').filter((word) => word !== '');
const unknown = chosen.filter((name) => !scenarios.some((scenario) => scenario.name === name));
if (unknown.length > 0) fail(`no such scenario: ${unknown.join(', ')}`);

const refused = ensurePrivilege();
if (refused !== undefined) fail(`The benchmark cannot make network namespaces: ${refused.because}`);
const needed = ['ip', 'nsenter', 'nft', 'openssl', ...clusterPrograms, ...dataPathPrograms];
const missing = whyMissing(await ensureComponents(needed, { say: (line) => console.log(`  ${line}`) }));
if (missing !== undefined) fail(`The benchmark lacks ${missing}`);

/** Two copies that answer for some seconds after they were told to go, never fewer than two of them ready. */
function deployment(): object {
  const labels = { app: 'web' };
  const from = (fieldPath: string): object => ({ fieldRef: { fieldPath } });
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 15,
          containers: [
            {
              name: 'echo',
              image: 'node',
              command: ['node', path.join(import.meta.dirname, '../lab/datapath/echo-server.ts')],
              env: [
                { name: 'POD', valueFrom: from('metadata.name') },
                { name: 'NODE', valueFrom: from('spec.nodeName') },
              ],
              readinessProbe: { httpGet: { path: '/', port: 8080 } },
              lifecycle: { preStop: { sleep: { seconds: Number(values.linger) } } },
            },
          ],
        },
      },
    },
  };
}

function service(policy: Policy, vip: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: policy.toLowerCase(),
      namespace,
      annotations: { 'kube-vip.io/loadbalancerIPs': vip },
    },
    spec: {
      type: 'LoadBalancer',
      externalTrafficPolicy: policy,
      selector: { app: 'web' },
      ports: [{ port: 80, targetPort: 8080 }],
    },
  };
}

/** How often another node had the VIP than before. */
function movesOf({ segments }: HolderReport): number {
  const held = segments.flatMap(({ holders }) => (holders.length === 1 ? holders : []));
  return held.filter((node, i) => i > 0 && node !== held[i - 1]).length;
}

async function measure(dataPath: DataPath, scenario: Scenario, vip: string): Promise<Sample> {
  const { cluster } = dataPath;
  await dataPath.ready({ app: 'web' }, replicas, 60_000);
  const watch = await HolderWatch.start(cluster.lab, vip);
  const load = await Requests.start(cluster.lab.client, `http://${vip}/`, { perSecond: Number(values.rate) });
  await load.answering(200);
  const started = performance.now();
  await scenario.run(dataPath, vip);
  await dataPath.ready({ app: 'web' }, replicas, 60_000);
  await load.answering(400);
  const seconds = (performance.now() - started) / 1000;
  const report = await load.stop();
  const held = await watch.stop();
  return {
    scenario: scenario.name,
    seconds,
    load: report,
    moves: movesOf(held),
    nobodyMs: held.longestNoHolderMs,
    twoHoldersMs: held.twoHoldersMs,
  };
}

function print(samples: readonly Sample[]): void {
  const columns = [
    'requests',
    'failed',
    'SYN again',
    'median ms',
    'longest ms',
    'moves',
    'nobody ms',
    'two ms',
  ];
  console.log(`${''.padEnd(36)} ${columns.map((each) => each.padStart(10)).join(' ')}`);
  for (const { name, title } of scenarios) {
    const own = samples.filter(({ scenario }) => scenario === name);
    if (own.length === 0) continue;
    const sum = (of: (sample: Sample) => number): number => own.reduce((total, each) => total + of(each), 0);
    const max = (of: (sample: Sample) => number): number => Math.max(...own.map(of));
    const cells = [
      sum(({ load }) => load.sent),
      sum(({ load }) => load.failed.length),
      sum(({ load }) => load.synRetransmits),
      Math.round(max(({ load }) => load.medianMs) * 10) / 10,
      Math.round(max(({ load }) => load.longestMs)),
      sum(({ moves }) => moves),
      Math.round(max(({ nobodyMs }) => nobodyMs)),
      Math.round(max(({ twoHoldersMs }) => twoHoldersMs)),
    ];
    console.log(
      `${`${title} (${own.length})`.padEnd(36)} ${cells.map((each) => String(each).padStart(10)).join(' ')}`,
    );
  }
}

const samples: Sample[] = [];
const cluster = await Cluster.start({ api: 'real', controlPlanes: 3 });
try {
  const dataPath = await DataPath.start(cluster);
  const { client } = cluster.api;
  await client.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
  await client.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, deployment());
  const vips: Readonly<Record<Policy, string>> = {
    Local: cluster.lab.plan.vip(1),
    Cluster: cluster.lab.plan.vip(2),
  };
  await cluster.startDaemons({
    env: { cp_enable: 'false', address: '', svc_enable: 'true', svc_election: 'true' },
    lease: { duration: 15, renewDeadline: 10, retryPeriod: 2 },
  });
  for (const policy of ['Local', 'Cluster'] as const) {
    await client.create(`/api/v1/namespaces/${namespace}/services`, service(policy, vips[policy]));
    await waitFor(() => httpGet(cluster.lab.client, vips[policy], 80, '/'), {
      what: `an answer from ${vips[policy]}`,
      timeoutMs: 30_000,
    });
  }
  for (const scenario of scenarios) {
    if (chosen.length > 0 && !chosen.includes(scenario.name)) continue;
    for (let rep = 1; rep <= Number(values.reps); rep++) {
      const sample = await measure(dataPath, scenario, vips[scenario.policy]);
      samples.push(sample);
      const { load, moves, nobodyMs } = sample;
      const errors = [...new Set(load.failed.map(({ error }) => error))].join(', ');
      console.log(
        `${scenario.name} ${rep}: ${load.sent} requests in ${sample.seconds.toFixed(1)} s, ${load.failed.length} failed${errors === '' ? '' : ` (${errors})`}, ` +
          `${load.synRetransmits} SYN again, longest ${load.longestMs.toFixed(0)} ms, ${moves} moves, nobody ${nobodyMs.toFixed(0)} ms`,
      );
    }
  }
} finally {
  await cluster.stop();
}
console.log();
print(samples);
const file =
  values.json ??
  path.join(
    import.meta.dirname,
    'results',
    `rollout-${new Date().toISOString().slice(0, 19).replace(/[T:]/g, '-')}.json`,
  );
mkdirSync(path.dirname(file), { recursive: true });
const machine = { cpus: os.cpus().length, kernel: os.release() };
writeFileSync(file, `${JSON.stringify({ machine, rate: Number(values.rate), samples }, undefined, 1)}\n`);
console.log(`\n${path.relative(process.cwd(), file)}`);
