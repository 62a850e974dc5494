// npm run bench -- services [--sizes 10,100,1000,5000,10000] [--api real|embedded] [--nodes 2] [--program dist|source]
//   [--stages singles,endpoints,rest,failover,restart] [--singles 100] [--rest 60] [--controller] [--json FILE]
//   [--profile DIR]
// How long a Service needs to its VIP and its status, alone and in a burst, and what many of them cost.
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Cluster, ensurePrivilege, waitFor } from '../lab/index.ts';
import { Driver } from './services/driver-client.ts';
import { Figures, tableOf } from './services/figures.ts';
import { namespace, pool } from './services/objects.ts';
import { stages, Stages, turnsFile } from './services/stages.ts';
import { turnsOption } from './services/turns.ts';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10,100,1000,5000,10000' },
    api: { type: 'string', default: 'real' },
    nodes: { type: 'string', default: '2' },
    program: { type: 'string', default: 'dist' },
    singles: { type: 'string', default: '100' },
    stages: { type: 'string', default: stages.join() },
    rest: { type: 'string', default: '60' },
    controller: { type: 'boolean', default: false },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
});
const { api, program } = values;
if (api !== 'real' && api !== 'embedded') throw new Error('--api is real or embedded');
if (program !== 'dist' && program !== 'source') throw new Error('--program is dist or source');

const refused = ensurePrivilege();
if (refused !== undefined) {
  console.error(`The benchmark cannot make network namespaces: ${refused.because}`);
  process.exit(1);
}

const figures = new Figures();
const cluster = await Cluster.start({ api, controlPlanes: Number(values.nodes) });
try {
  const { client, controlPlanes } = cluster.lab;
  await cluster.api.client.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
  if (values.controller) {
    await cluster.api.client.create('/api/v1/namespaces/kube-system/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kubevip', namespace: 'kube-system' },
      data: { 'cidr-global': pool },
    });
  }
  for (const node of controlPlanes) {
    const profile =
      values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${path.resolve(values.profile)}`];
    cluster.startDaemon(node, {
      env: {
        cp_enable: 'false',
        address: '',
        svc_enable: 'true',
        svc_ipam: String(values.controller),
        NODE_OPTIONS: [turnsOption(turnsFile(node)), ...profile].join(' '),
      },
      lease: { duration: 15, renewDeadline: 10, retryPeriod: 2 },
      options: { program },
    });
  }
  const [first] = controlPlanes;
  if (first === undefined) throw new Error('--nodes is 2 or more');
  const server = api === 'real' ? cluster.real.serverOf(first) : undefined;
  const driver = new Driver(
    client,
    cluster.api.kubeconfig(client, 'admin', server),
    controlPlanes.map(({ name }) => name),
  );
  const bench = new Stages(cluster, driver, figures, {
    stages: stages.filter((stage) => values.stages.split(',').includes(stage)),
    singles: Number(values.singles),
    restSeconds: Number(values.rest),
    controller: values.controller,
  });
  await Promise.all([...cluster.daemons.values()].map((daemon) => daemon.waitReady(60_000)));
  const hasHolder = (): Promise<boolean> =>
    bench.holder().then(
      () => true,
      () => false,
    );
  await waitFor(hasHolder, { what: 'a holder' });
  for (const size of values.sizes.split(',').map(Number)) await bench.run(size);
  // A profile is written at an orderly end only.
  if (values.profile !== undefined)
    await Promise.all([...cluster.daemons.values()].map((daemon) => daemon.stop(60_000)));
} finally {
  await cluster.stop();
}

console.log(`\n${tableOf(figures.all)}`);
const date = new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-');
const file = values.json ?? path.join(import.meta.dirname, 'results', `services-${date}.json`);
mkdirSync(path.dirname(file), { recursive: true });
const machine = { kernel: os.release(), cores: os.availableParallelism(), node: process.version };
writeFileSync(file, `${JSON.stringify({ date, api, program, machine, figures: figures.all }, null, 2)}\n`);
console.log(`\n${file}`);
