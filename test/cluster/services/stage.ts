import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import {
  Cluster,
  ensurePrivilege,
  HolderWatch,
  Prober,
  waitFor,
  type ClusterOptions,
  type Daemon,
  type DaemonDefaults,
  type Machine,
} from '../../../lab/index.ts';
import { Objects } from './objects.ts';

/** A manager that has Services and nothing else. */
export const servicesOnly = { cp_enable: 'false', address: '', svc_enable: 'true' };

/**
 * A machine that stands still for some seconds costs nobody a lease, and a renewal may be late. A released lease is
 * taken at once all the same; one whose holder died is not, so tests about that have times of their own.
 */
const patient = { duration: 30, renewDeadline: 20, retryPeriod: 1 };

/**
 * For the prober where one lost packet is too many. Late is not lost: a machine that stands still for some seconds is
 * no gap, and what waits meanwhile fits into a socket's buffer.
 */
const patientProbes = { intervalMs: 5, lateMs: 3000 };

export interface StageOptions {
  /** Default 1. */
  readonly controlPlanes?: number;
  readonly api?: ClusterOptions['api'];
  /** What the nodes answer the prober with; default false. */
  readonly responders?: boolean;
  /** Before the daemons start. */
  readonly prepare?: (stage: Stage) => Promise<void>;
  /** Of the daemons, one on each node; none are started without it. */
  readonly daemons?: DaemonDefaults;
}

/** A cluster with the namespace of `Objects`, and what most tests of Services ask of it. */
export class Stage {
  readonly #options: StageOptions;
  #cluster: Cluster | undefined;
  #objects: Objects | undefined;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { controlPlanes = 1, api = 'embedded', responders = false, prepare, daemons } = this.#options;
    this.#cluster = await Cluster.start({ api, controlPlanes });
    this.#objects = await Objects.in(this.#cluster);
    if (responders) await this.#cluster.startResponders();
    await prepare?.(this);
    if (daemons !== undefined) await this.#cluster.startDaemons(this.defaults(daemons));
  }

  async stop(): Promise<void> {
    await this.#cluster?.stop();
  }

  get cluster(): Cluster {
    if (this.#cluster === undefined) throw new Error('there is no cluster before the tests begin');
    return this.#cluster;
  }

  get objects(): Objects {
    if (this.#objects === undefined) throw new Error('there is no namespace before the tests begin');
    return this.#objects;
  }

  /** Settings of a daemon, with lease times that suit most tests. */
  defaults(daemons: DaemonDefaults): DaemonDefaults {
    return { lease: patient, ...daemons };
  }

  /** The first node. */
  get node(): Machine {
    return this.cluster.lab.node(0);
  }

  get nodes(): readonly Machine[] {
    return this.cluster.lab.controlPlanes;
  }

  get daemons(): readonly Daemon[] {
    return [...this.cluster.daemons.values()];
  }

  readonly vip = (n: number): string => this.cluster.lab.plan.vip(n);

  /** The last lines of every daemon, for error messages. */
  readonly tails = (): string => this.daemons.map(({ process }) => process.tail()).join('\n');

  /** Until the first node carries it, or does not. */
  async appears(address: string): Promise<void> {
    await waitFor(() => this.node.holds(address), { what: `${address} to appear`, detail: this.tails });
  }

  async disappears(address: string): Promise<void> {
    await waitFor(async () => !(await this.node.holds(address)), {
      what: `${address} to disappear`,
      detail: this.tails,
    });
  }

  /** Until no node carries it. */
  async gone(address: string): Promise<void> {
    await waitFor(async () => (await this.cluster.lab.holders(address)).length === 0, {
      what: `${address} to go`,
      detail: this.tails,
    });
  }

  /** Meanwhile this node alone has the VIP, and no packet to it is lost. Needs `responders`. */
  async undisturbed(address: string, holder: Machine, body: () => Promise<void>): Promise<void> {
    const watch = await HolderWatch.start(this.cluster.lab, address);
    const prober = await Prober.start(this.cluster.lab.client, address, patientProbes);
    try {
      await prober.answering();
      await body();
      await prober.answering();
      const report = await prober.report();
      assert.equal(report.longestGapMs, 0, JSON.stringify(report.gaps));
      const { segments } = await watch.stop();
      assert.deepEqual(
        segments.map(({ holders }) => holders),
        [[holder.name]],
      );
    } finally {
      await prober.kill();
      await watch.kill();
    }
  }

  /** Until these are the addresses in the status of a Service, in this order. */
  async statusIs(name: string, addresses: readonly string[]): Promise<void> {
    await waitFor(async () => (await this.objects.ingress(name)).join() === addresses.join(), {
      what: `the status of ${name}`,
      detail: this.tails,
    });
  }

  /** Until the status of a Service names this holder. */
  async vipHostIs(name: string, host: string): Promise<void> {
    await waitFor(
      async () => (await this.objects.get(name)).metadata.annotations?.['kube-vip.io/vipHost'] === host,
      { what: `vipHost of ${name} to be ${host}`, detail: this.tails },
    );
  }

  /** A page of a node's daemon. */
  page(path: string, node = this.node): Promise<string> {
    return waitFor(
      async () => {
        const got = await this.cluster.daemon(node).http(path);
        return got?.status === 200 ? got.body : undefined;
      },
      { what: `${path} of ${node.name}`, detail: this.tails },
    );
  }

  /** Runs a daemon on the first node, unsupervised, for as long as the body takes; from when it is ready. */
  withDaemon(env: Readonly<Record<string, string>>, body: () => Promise<unknown>): Promise<void> {
    return this.cluster.withDaemon(this.node, this.defaults({ env }), async (daemon) => {
      await daemon.waitReady();
      await body();
    });
  }
}

/** Why no stage can be built here, or false. */
export function whySkipped(): string | false {
  return ensurePrivilege()?.because ?? false;
}

/** Called in a suite: the stage of its tests, which is there while they run. */
export function stageOf(options: StageOptions): Stage {
  const stage = new Stage(options);
  before(() => stage.start());
  after(() => stage.stop());
  return stage;
}
