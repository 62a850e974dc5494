import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor, type Cluster, type Machine } from '../../lab/index.ts';
import { cpuSeconds, mainThread, memory, quantile, stolenMs } from '../process.ts';
import { AddressMonitor } from './address-monitor.ts';
import { AnnouncementMonitor } from './announcement-monitor.ts';
import { ranMs, writesOf } from './api-servers.ts';
import { bareKernelMs } from './bare-kernel.ts';
import type { Driver, ServiceTimes } from './driver-client.ts';
import type { Figures } from './figures.ts';
import { collectionsSince } from './turns.ts';

const leasePath = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/plndr-svcs-lock';

/** What is measured at each size, after it was reached. */
export const stages = ['singles', 'endpoints', 'rest', 'failover', 'restart'] as const;
export type Stage = (typeof stages)[number];

const standbyMs = 8000;

export interface StageOptions {
  readonly stages: readonly Stage[];
  readonly singles: number;
  readonly restSeconds: number;
  /** A controller assigns the addresses. */
  readonly controller: boolean;
}

interface LeaseObject {
  readonly spec?: { readonly holderIdentity?: string; readonly acquireTime?: string };
}

/** Where a daemon that was started with `turnsOption` puts its longest turn. */
export function turnsFile(node: Machine): string {
  return path.join(node.dir, 'longest-turn');
}

/** The stages of the benchmark, on a cluster whose daemons run. */
export class Stages {
  readonly #cluster: Cluster;
  readonly #driver: Driver;
  readonly #figures: Figures;
  readonly #options: StageOptions;
  /** Services there are, and the round number they stand for in the table. */
  #count = 0;
  #size = 0;
  readonly #watching = new Set<Machine>();
  #memoryBefore: { readonly count: number; readonly rssMb: number } | undefined;

  constructor(cluster: Cluster, driver: Driver, figures: Figures, options: StageOptions) {
    this.#cluster = cluster;
    this.#driver = driver;
    this.#figures = figures;
    this.#options = options;
  }

  async holder(): Promise<Machine> {
    const { spec } = await this.#cluster.api.client.get<LeaseObject>(leasePath);
    const node = this.#cluster.lab.controlPlanes.find(({ name }) => name === spec?.holderIdentity);
    if (node === undefined) throw new Error('nobody holds the lease');
    return node;
  }

  async run(total: number): Promise<void> {
    this.#size = total;
    const { stages, singles } = this.#options;
    const isWanted = (stage: Stage): boolean => stages.includes(stage);
    await this.burst(total);
    if (isWanted('singles')) await this.singles(singles);
    if (isWanted('endpoints')) await this.endpoints();
    if (isWanted('rest')) await this.rest();
    if (isWanted('failover')) await this.failover();
    if (isWanted('restart')) await this.restart();
  }

  /** Grows to `total` Services at once. */
  private async burst(total: number): Promise<void> {
    const holder = await this.holder();
    const monitor = await AddressMonitor.start(holder);
    const from = this.#count;
    const size = total - from;
    await this.#turns(holder);
    await this.#driver.create(from, total, 16, !this.#options.controller);
    this.#count = total;
    await waitFor(() => monitor.addedAt.size >= size, {
      what: 'all VIPs',
      timeoutMs: 240_000,
      everyMs: 20,
      detail: () => `${monitor.addedAt.size} of ${size}`,
    });
    await this.#driver.written(from, total);
    const longestTurn = await this.#turns(holder);
    monitor.kill();
    const times = await this.#driver.times(from, total);
    const first = Math.min(...times.map(({ sentAt = Number.NaN }) => sentAt));
    const last = Math.max(...times.map(({ answeredAt = Number.NaN }) => answeredAt));
    const onLink = Math.max(...monitor.addedAt.values());
    const written = Math.max(...times.map(({ writtenAt = Number.NaN }) => writtenAt));
    const isBurst = size <= 1000;
    this.#add(`burst of ${size}: creating them took`, last - first, 'ms');
    this.#add(
      'burst: last create answered → last VIP on the link',
      onLink - last,
      'ms',
      isBurst ? 100 : undefined,
    );
    this.#add(
      'burst: last create answered → last status seen',
      written - last,
      'ms',
      isBurst ? 1000 : undefined,
    );
    this.#add('burst: longest turn of the event loop', longestTurn, 'ms', 50);
  }

  /** One at a time on top of what is there. */
  private async singles(count: number): Promise<void> {
    const addresses = await AddressMonitor.start(await this.holder());
    const frames = await AnnouncementMonitor.start(this.#cluster.lab.client);
    const from = this.#count;
    for (let i = from; i < from + count; i++) {
      this.#count++;
      await this.#driver.create(i, i + 1, 1, !this.#options.controller);
      await this.#driver.written(i, i + 1);
      const [vip = ''] = vipsOf(await this.#driver.times(i, i + 1));
      await waitFor(() => addresses.addedAt.has(vip) && frames.heardAt.has(vip), {
        what: `${vip} to be announced`,
        everyMs: 2,
      });
    }
    addresses.kill();
    frames.kill();
    const times = await this.#driver.times(from, this.#count);
    const spans = (end: (i: number) => number | undefined): readonly number[] =>
      times.map(({ sentAt = Number.NaN }, n) => (end(from + n) ?? Number.NaN) - sentAt);
    const answered = spans((i) => times[i - from]?.answeredAt);
    const vips = vipsOf(times);
    const onLink = spans((i) => addresses.addedAt.get(vips[i - from] ?? ''));
    const announced = spans((i) => frames.heardAt.get(vips[i - from] ?? ''));
    const written = spans((i) => times[i - from]?.writtenAt);
    this.#add('one more: create sent → answered, p50', quantile(answered, 0.5), 'ms');
    if (this.#options.controller) {
      const assigned = spans((i) => times[i - from]?.assignedAt);
      this.#add('one more: create sent → address assigned, p50', quantile(assigned, 0.5), 'ms');
      this.#add('one more: create sent → address assigned, p99', quantile(assigned, 0.99), 'ms');
    }
    const since = onLink.map((ms, i) => ms - (answered[i] ?? Number.NaN));
    this.#add('one more: create answered → VIP on the link, p50', quantile(since, 0.5), 'ms', 5);
    this.#add('one more: create answered → VIP on the link, p99', quantile(since, 0.99), 'ms', 30);
    // What a client that does nothing but watch gets of the same API server: the rest is ours.
    const seen = spans((i) => times[i - from]?.seenAt);
    const heard = seen.map((ms, i) => ms - (answered[i] ?? Number.NaN));
    const own = onLink.map((ms, i) => ms - (seen[i] ?? Number.NaN));
    this.#add('one more: create answered → seen by a plain watch, p50', quantile(heard, 0.5), 'ms');
    this.#add('one more: create answered → seen by a plain watch, p99', quantile(heard, 0.99), 'ms');
    this.#add('one more: seen by a plain watch → VIP on the link, p50', quantile(own, 0.5), 'ms');
    this.#add('one more: seen by a plain watch → VIP on the link, p99', quantile(own, 0.99), 'ms');
    this.#add('one more: create sent → VIP on the link, p50', quantile(onLink, 0.5), 'ms', 5);
    this.#add('one more: create sent → VIP on the link, p99', quantile(onLink, 0.99), 'ms', 30);
    this.#add('one more: create sent → announced, p50', quantile(announced, 0.5), 'ms', 5);
    this.#add('one more: create sent → announced, p99', quantile(announced, 0.99), 'ms', 30);
    this.#add('one more: create sent → status seen, p50', quantile(written, 0.5), 'ms', 15);
    this.#add('one more: create sent → status seen, p99', quantile(written, 0.99), 'ms');
  }

  /** What a change of one endpoint costs the holder. */
  private async endpoints(): Promise<void> {
    const changes = Math.min(200, this.#count);
    const { pid } = this.#cluster.daemon(await this.holder()).process;
    const before = cpuSeconds(pid);
    await this.#driver.endpoints(0, changes, false);
    await this.#driver.endpoints(0, changes, true);
    await sleep(200);
    this.#add(
      'one endpoint changed: CPU of the holder',
      ((cpuSeconds(pid) - before) / (2 * changes)) * 1000,
      'ms',
    );
  }

  private async rest(): Promise<void> {
    const { restSeconds } = this.#options;
    const holder = await this.holder();
    const { pid } = this.#cluster.daemon(holder).process;
    // The burst of announcements after an acquisition, and the writes of a burst, are over by then.
    await sleep(5000);
    const isReal = this.#cluster.api.kind === 'real';
    const writes = isReal ? await writesOf(this.#cluster) : Number.NaN;
    const cpu = cpuSeconds(pid);
    const from = Date.now();
    await sleep(restSeconds * 1000);
    const spent = cpuSeconds(pid) - cpu;
    this.#add(`at rest, ${restSeconds} s: CPU of the holder`, (spent / restSeconds) * 100, '%', 1);
    const collections = collectionsSince(turnsFile(holder), from);
    this.#add('at rest: collections that the program asked for meanwhile', collections.length, '');
    const collecting = collections.reduce((sum, ms) => sum + ms, 0);
    this.#add('at rest: CPU of these', collecting, 'ms');
    if (isReal) {
      const rate = ((await writesOf(this.#cluster)) - writes) / restSeconds;
      this.#add("at rest: writes to the API, all nodes' and its own", rate, '/s', 2);
    }
    const { privateMb, rssMb } = memory(pid);
    this.#add('holder: resident memory', rssMb, 'MB', this.#count <= 1500 ? 110 : undefined);
    this.#add('holder: private memory', privateMb, 'MB');
    const before = this.#memoryBefore;
    if (before !== undefined) {
      const slope = ((rssMb - before.rssMb) * 1024) / (this.#count - before.count);
      this.#add('holder: resident memory for each Service more', slope, 'kB', 20);
    }
    this.#memoryBefore = { count: this.#count, rssMb };
  }

  private async failover(): Promise<void> {
    const holder = await this.holder();
    const others = this.#cluster.lab.controlPlanes.filter((node) => node !== holder);
    const frames = await AnnouncementMonitor.start(this.#cluster.lab.client);
    const monitors = await Promise.all(others.map((node) => AddressMonitor.start(node)));
    const daemon = this.#cluster.daemon(holder);
    // The others stand by: what the burst has left to do is done.
    await sleep(standbyMs);
    daemon.halt();
    for (const node of others) await this.#turns(node);
    frames.reset();
    const before = others.map((node) => mainThread(this.#cluster.daemon(node).process.pid));
    const [stolen, servers] = [stolenMs(), ranMs(this.#cluster)];
    const stopAt = Date.now();
    daemon.signal('SIGTERM');
    const onLink = new Map<string, number>();
    const reachable = new Map<string, number>();
    await waitFor(
      () => {
        for (const { addedAt, reachableAt } of monitors) {
          for (const [vip, at] of addedAt) onLink.set(vip, at);
          for (const [vip, at] of reachableAt) reachable.set(vip, at);
        }
        return onLink.size >= this.#count;
      },
      { what: 'all VIPs elsewhere', timeoutMs: 120_000, everyMs: 20, detail: () => `${onLink.size}` },
    );
    const after = others.map((node) => mainThread(this.#cluster.daemon(node).process.pid));
    const [stolenMeanwhile, serversMeanwhile] = [stolenMs() - stolen, ranMs(this.#cluster) - servers];
    await sleep(1000);
    const turns = await Promise.all(others.map((node) => this.#turns(node)));
    await daemon.process.exited;
    const takenAt = Date.parse((await this.#lease()).spec?.acquireTime ?? '');
    const vips = vipsOf(await this.#driver.times(0, this.#count));
    // Frames of the former holder's last refresh do not count.
    const heard = vips.map((vip) => frames.heardAt.get(vip) ?? Number.NaN);
    const reachedAt = vips.map((vip) => reachable.get(vip) ?? Number.NaN);
    const lag = heard.map((at, i) => at - (reachedAt[i] ?? Number.NaN));
    const budget = this.#count < 5000 ? 150 : 1500;
    this.#add('failover: SIGTERM → lease taken by another node', takenAt - stopAt, 'ms');
    this.#add(
      'failover: lease taken → last VIP can be reached',
      Math.max(...reachedAt) - takenAt,
      'ms',
      budget,
    );
    this.#add('failover: lease taken → last VIP announced', Math.max(...heard) - takenAt, 'ms', budget);
    // Above the crowd of ADR 11 the last addresses follow when all can be reached.
    const onLinkAt = Math.max(...onLink.values()) - takenAt;
    this.#add(
      'failover: lease taken → last VIP an address of the link',
      onLinkAt,
      'ms',
      this.#count > 2000 ? undefined : budget,
    );
    const spent = after.map(({ ran, waited }, i) => ({
      ran: ran - (before[i]?.ran ?? 0),
      waited: waited - (before[i]?.waited ?? 0),
    }));
    const taker = spent.reduce((most, one) => (one.ran > most.ran ? one : most));
    this.#add('failover: main thread of the one that takes, ran', taker.ran, 'ms');
    this.#add('failover: the same, waited for a processor', taker.waited, 'ms');
    this.#add('failover: API servers and etcd, ran from SIGTERM on', serversMeanwhile, 'ms');
    this.#add('failover: the hypervisor took from all processors, from SIGTERM on', stolenMeanwhile, 'ms');
    const limit = await bareKernelMs(this.#cluster.lab.client, this.#count);
    this.#add('failover: `ip -batch` on an idle link takes', limit, 'ms');
    this.#add('failover: can be reached → announced, worst', Math.max(...lag), 'ms');
    this.#add('failover: longest turn of the event loop', Math.max(...turns), 'ms', 50);
    for (const monitor of [...monitors, frames]) monitor.kill();
    daemon.startAgain();
    await daemon.waitReady(60_000);
  }

  private async restart(): Promise<void> {
    const holder = await this.holder();
    const monitor = await AddressMonitor.start(holder);
    const daemon = this.#cluster.daemon(holder);
    await daemon.kill();
    const startedAt = Date.now();
    await waitFor(() => daemon.process.alive, { what: 'the next start', timeoutMs: 10_000 });
    const startAt = Date.now();
    await daemon.waitReady(60_000);
    this.#add('restart: start → ready', Date.now() - startAt, 'ms');
    await sleep(Math.max(0, startedAt + 8000 - Date.now()));
    this.#add('restart (SIGKILL): VIPs that left the link', monitor.gone, '', 0);
    monitor.kill();
  }

  async #lease(): Promise<LeaseObject> {
    return this.#cluster.api.client.get<LeaseObject>(leasePath);
  }

  #add(name: string, value: number, unit: string, budget?: number): void {
    this.#figures.add(this.#size, name, value, unit, budget);
  }

  /** Starts the watch for long turns, or ends it and resolves with the longest, in milliseconds. */
  async #turns(node: Machine): Promise<number> {
    const file = turnsFile(node);
    rmSync(file, { force: true });
    this.#cluster.daemon(node).signal('SIGUSR2');
    if (!this.#watching.delete(node)) {
      this.#watching.add(node);
      return 0;
    }
    await waitFor(() => existsSync(file) && readFileSync(file, 'utf8') !== '', { what: 'the longest turn' });
    return Number(readFileSync(file, 'utf8'));
  }
}

function vipsOf(times: readonly ServiceTimes[]): readonly string[] {
  return times.map(({ vip = '' }) => vip);
}
