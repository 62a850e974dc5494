// npm run bench -- services [--counts 10,100,1000] [--api real|embedded] [--singles 50] [--json FILE] [--profile DIR]
// How long a Service needs to its VIP and its status, alone and in a burst, and what many of them cost.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Cluster, ensurePrivilege, waitFor, type Machine } from '../lab/index.ts';
import { AddressMonitor } from './services/address-monitor.ts';

const { values } = parseArgs({
  options: {
    counts: { type: 'string', default: '10,100,1000' },
    api: { type: 'string', default: 'real' },
    singles: { type: 'string', default: '50' },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
});

const namespace = 'bench';
const core = `/api/v1/namespaces/${namespace}`;
const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
const vipOf = (i: number): string => `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

const refused = ensurePrivilege();
if (refused !== undefined) {
  console.error(refused.because);
  process.exit(1);
}

interface Figure {
  readonly services: number;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

const figures: Figure[] = [];

function figure(services: number, name: string, value: number, unit: string): void {
  figures.push({ services, name, value, unit });
  console.log(`${String(services).padStart(6)}  ${name.padEnd(52)} ${value.toFixed(1).padStart(9)} ${unit}`);
}

function quantile(values_: readonly number[], q: number): number {
  const sorted = values_.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

class Bench {
  readonly cluster: Cluster;
  count = 0;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  /** Five endpoints over the nodes; resolves with the moment the API server was asked for the Service. */
  async create(i: number): Promise<number> {
    const name = `s${i}`;
    const { client } = this.cluster.api;
    await client.create(slices, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-1`, namespace, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'main', port: 8080, protocol: 'TCP' }],
      endpoints: [0, 1, 2, 3, 4].map((n) => ({
        addresses: [`10.244.${n}.${(i % 250) + 2}`],
        nodeName: this.cluster.lab.nodes[n % this.cluster.lab.nodes.length]?.name,
        conditions: { ready: true, serving: true, terminating: false },
      })),
    });
    const sentAt = Date.now();
    await client.create(`${core}/services`, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, annotations: { 'kube-vip.io/loadbalancerIPs': vipOf(i) } },
      spec: {
        type: 'LoadBalancer',
        allocateLoadBalancerNodePorts: false,
        ports: [{ name: 'main', port: 80, protocol: 'TCP' }],
      },
    });
    return sentAt;
  }

  async isWritten(i: number): Promise<boolean> {
    const service = await this.cluster.api.client.get<{ status?: { loadBalancer?: { ingress?: object[] } } }>(
      `${core}/services/s${i}`,
    );
    return (service.status?.loadBalancer?.ingress ?? []).length > 0;
  }

  async writtenCount(): Promise<number> {
    const { items } = await this.cluster.api.client.get<{
      items: { status?: { loadBalancer?: { ingress?: object[] } } }[];
    }>(`${core}/services`);
    return items.filter(({ status }) => (status?.loadBalancer?.ingress ?? []).length > 0).length;
  }

  async holder(): Promise<Machine> {
    const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/plndr-svcs-lock';
    const lease = await this.cluster.api.client.get<{ spec?: { holderIdentity?: string } }>(path);
    const node = this.cluster.lab.controlPlanes.find(({ name }) => name === lease.spec?.holderIdentity);
    if (node === undefined) throw new Error('nobody holds the lease');
    return node;
  }

  /** Grows to `total` Services at once. */
  async burst(total: number): Promise<void> {
    const monitor = await AddressMonitor.start(await this.holder());
    const from = this.count;
    let next = from;
    let lastAnswer = 0;
    const worker = async (): Promise<void> => {
      while (next < total) {
        await this.create(next++);
        lastAnswer = Date.now();
      }
    };
    const started = Date.now();
    await Promise.all(Array.from({ length: 16 }, worker));
    this.count = total;
    await waitFor(() => monitor.addedAt.size >= total - from, {
      what: 'all VIPs',
      timeoutMs: 120_000,
      everyMs: 5,
      detail: () => `${monitor.addedAt.size} of ${total - from}`,
    });
    const lastVip = Math.max(...monitor.addedAt.values());
    await waitFor(async () => (await this.writtenCount()) >= total, {
      what: 'all statuses',
      timeoutMs: 120_000,
      everyMs: 20,
    });
    const writtenAt = Date.now();
    monitor.kill();
    figure(total, 'burst: creating them took', lastAnswer - started, 'ms');
    figure(total, 'burst: last create answered → last VIP on the link', lastVip - lastAnswer, 'ms');
    figure(total, 'burst: last create answered → all statuses seen', writtenAt - lastAnswer, 'ms');
  }

  /** One at a time on top of what is there. */
  async singles(count: number): Promise<void> {
    const monitor = await AddressMonitor.start(await this.holder());
    const toLink: number[] = [];
    const toStatus: number[] = [];
    for (let n = 0; n < count; n++) {
      const i = this.count++;
      const sentAt = await this.create(i);
      await waitFor(() => this.isWritten(i), { what: 'the status', everyMs: 1 });
      toStatus.push(Date.now() - sentAt);
      await waitFor(() => monitor.addedAt.has(vipOf(i)), { what: 'the VIP', everyMs: 1 });
      toLink.push((monitor.addedAt.get(vipOf(i)) ?? Number.NaN) - sentAt);
    }
    monitor.kill();
    const total = this.count;
    figure(total, 'one more: create sent → VIP on the link, p50', quantile(toLink, 0.5), 'ms');
    figure(total, 'one more: create sent → VIP on the link, p99', quantile(toLink, 0.99), 'ms');
    figure(total, 'one more: create sent → status seen, p50', quantile(toStatus, 0.5), 'ms');
    figure(total, 'one more: create sent → status seen, p99', quantile(toStatus, 0.99), 'ms');
  }

  async rest(seconds: number): Promise<void> {
    const { pid } = this.cluster.daemon(await this.holder()).process;
    await sleep(3000);
    const before = cpuSeconds(pid);
    await sleep(seconds * 1000);
    figure(this.count, 'holder at rest: CPU', ((cpuSeconds(pid) - before) / seconds) * 100, '%');
    const { privateMb, rssMb } = memory(pid);
    figure(this.count, 'holder: resident memory', rssMb, 'MB');
    figure(this.count, 'holder: private memory', privateMb, 'MB');
    const loop = (await this.cluster.daemon(await this.holder()).http('/metrics'))?.body ?? '';
    const [, worst = 'NaN'] = /event_loop_delay_seconds\{quantile="1"\} (\S+)/.exec(loop) ?? [];
    figure(this.count, 'holder: longest event-loop delay', Number(worst) * 1000, 'ms');
  }

  async failover(): Promise<void> {
    const holder = await this.holder();
    const others = this.cluster.lab.controlPlanes.filter((node) => node !== holder);
    const monitors = await Promise.all(others.map((node) => AddressMonitor.start(node)));
    const stopAt = Date.now();
    await this.cluster.daemon(holder).stop();
    const all = (): readonly number[] => monitors.flatMap(({ addedAt }) => [...addedAt.values()]);
    await waitFor(() => all().length >= this.count, {
      what: 'all VIPs elsewhere',
      timeoutMs: 60_000,
      everyMs: 5,
    });
    const [first, last] = [Math.min(...all()), Math.max(...all())];
    figure(this.count, 'failover (SIGTERM): signal → first VIP elsewhere', first - stopAt, 'ms');
    figure(this.count, 'failover (SIGTERM): first → last VIP elsewhere', last - first, 'ms');
    for (const monitor of monitors) monitor.kill();
    this.cluster.daemon(holder).startAgain();
    await this.cluster.daemon(holder).waitReady(60_000);
  }

  async restart(): Promise<void> {
    const holder = await this.holder();
    const monitor = await AddressMonitor.start(holder);
    const daemon = this.cluster.daemon(holder);
    await daemon.kill();
    await daemon.waitReady(60_000);
    await sleep(5000);
    figure(this.count, 'restart (SIGKILL): VIPs that left the link', monitor.gone, '');
    monitor.kill();
  }
}

function cpuSeconds(pid: number): number {
  const spent = readdirSync(`/proc/${pid}/task`).map((task) => {
    const [ns = '0'] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
    return Number(ns);
  });
  return spent.reduce((sum, ns) => sum + ns, 0) / 1e9;
}

function memory(pid: number): { readonly privateMb: number; readonly rssMb: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kb = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { privateMb: (kb('Private_Clean') + kb('Private_Dirty')) / 1024, rssMb: kb('Rss') / 1024 };
}

if (values.api !== 'real' && values.api !== 'embedded') throw new Error('--api is real or embedded');
const cluster = await Cluster.start({ api: values.api, controlPlanes: 3 });
try {
  await cluster.api.client.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
  const profiling =
    values.profile === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${values.profile}` };
  const env = { cp_enable: 'false', address: '', svc_enable: 'true', ...profiling };
  await cluster.startDaemons({ env, lease: { duration: 15, renewDeadline: 10, retryPeriod: 2 } });
  const bench = new Bench(cluster);
  await waitFor(
    () =>
      bench.holder().then(
        () => true,
        () => false,
      ),
    { what: 'a holder' },
  );
  for (const total of values.counts.split(',').map(Number)) {
    await bench.burst(total);
    await bench.singles(Number(values.singles));
    await bench.rest(10);
    await bench.failover();
    await bench.restart();
  }
  // A profile is written at an orderly end only.
  if (values.profile !== undefined)
    await Promise.all([...cluster.daemons.values()].map((daemon) => daemon.stop()));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
} finally {
  await cluster.stop();
}
