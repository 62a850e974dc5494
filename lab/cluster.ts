import type { ApiBackend, ApiUser } from './api-backend.ts';
import { Daemon } from './daemon.ts';
import type { DaemonOptions } from './daemon.ts';
import { EmbeddedApi } from './embedded-api.ts';
import { Lab } from './lab.ts';
import type { LabOptions } from './lab.ts';
import type { Machine } from './machine.ts';
import { nodeObject, nodeStatus } from './manifests.ts';
import { RealApi } from './real-api.ts';
import { startResponder } from './prober/prober.ts';
import { waitFor } from './wait.ts';

export interface ClusterOptions extends LabOptions {
  /** etcd and kube-apiserver on every control-plane node, or the embedded API server on a machine of its own. */
  readonly api: 'real' | 'embedded';
}

export interface LeaseTimes {
  /** Whole seconds. */
  readonly duration: number;
  readonly renewDeadline: number;
  readonly retryPeriod: number;
}

/** What the daemons get unless it is said otherwise. */
export interface DaemonDefaults {
  readonly vip?: string;
  readonly lease?: LeaseTimes;
  readonly user?: ApiUser;
  readonly env?: Readonly<Record<string, string>>;
  readonly options?: Partial<Omit<DaemonOptions, 'env'>>;
}

interface LeaseObject {
  readonly spec?: { readonly holderIdentity?: string | null };
}

/** Where the control plane's lease lies. */
export const leasePath = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/plndr-cp-lock';

/** A lab with API servers, Node objects and, when asked for, the daemon on the nodes. */
export class Cluster {
  readonly lab: Lab;
  readonly api: ApiBackend;
  readonly daemons = new Map<string, Daemon>();
  readonly #responders = new Set<string>();

  private constructor(lab: Lab, api: ApiBackend) {
    this.lab = lab;
    this.api = api;
    lab.onStop(() => {
      for (const daemon of this.daemons.values()) daemon.halt();
      return Promise.resolve();
    });
  }

  /** Ready when every API server is and all nodes are registered. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const lab = await Lab.start(options);
    try {
      const api = options.api === 'real' ? await RealApi.start(lab) : await EmbeddedApi.start(lab);
      const cluster = new Cluster(lab, api);
      await Promise.all(lab.nodes.map((node) => cluster.registerNode(node)));
      return cluster;
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  /** The real API servers, for what only they can do; an Error on the embedded one. */
  get real(): RealApi {
    if (this.api instanceof RealApi) return this.api;
    throw new Error('this needs a cluster with real API servers');
  }

  /** The embedded API server, for its faults; an Error on real ones. */
  get embedded(): EmbeddedApi {
    if (this.api instanceof EmbeddedApi) return this.api;
    throw new Error('this needs a cluster with the embedded API server');
  }

  async registerNode(node: Machine): Promise<void> {
    await this.api.client.create('/api/v1/nodes', nodeObject(node));
    await this.setNodeReady(node, true);
  }

  async setNodeReady(node: Machine, isReady: boolean): Promise<void> {
    await this.api.client.patch(`/api/v1/nodes/${node.name}/status`, nodeStatus(node, isReady));
  }

  /** The environment of a node's daemon: layer 2, control plane, this lab's API. */
  daemonEnv(node: Machine, defaults: DaemonDefaults = {}): Readonly<Record<string, string>> {
    const lease = defaults.lease ?? { duration: 5, renewDeadline: 3, retryPeriod: 1 };
    return {
      vip_arp: 'true',
      cp_enable: 'true',
      address: defaults.vip ?? this.lab.plan.vip(0),
      vip_interface: 'eth0',
      vip_nodename: node.name,
      port: String(this.api.port),
      k8s_config_file: this.api.kubeconfig(node, defaults.user ?? 'kube-vip'),
      vip_leaseduration: String(lease.duration),
      vip_renewdeadline: String(lease.renewDeadline),
      vip_retryperiod: String(lease.retryPeriod),
      prometheus_server: ':2112',
      ...defaults.env,
    };
  }

  startDaemon(node: Machine, defaults: DaemonDefaults = {}): Daemon {
    const daemon = new Daemon(node, { ...defaults.options, env: this.daemonEnv(node, defaults) });
    this.daemons.set(node.name, daemon);
    return daemon;
  }

  /** On every control-plane node; all are ready when this resolves. */
  async startDaemons(defaults: DaemonDefaults = {}): Promise<readonly Daemon[]> {
    const started = this.lab.controlPlanes.map((node) => this.startDaemon(node, defaults));
    await Promise.all(started.map((daemon) => daemon.waitReady()));
    return started;
  }

  /** Runs a daemon on a node for as long as the body takes; not restarted unless asked for. */
  async withDaemon(
    node: Machine,
    defaults: DaemonDefaults,
    body: (daemon: Daemon) => Promise<unknown>,
  ): Promise<void> {
    const options = { supervise: false, ...defaults.options };
    const daemon = this.startDaemon(node, { ...defaults, options });
    try {
      await body(daemon);
    } finally {
      // A deadline of its own for what is to be withdrawn or released at the end.
      if (daemon.process.alive) await daemon.stop(25_000);
    }
  }

  /** The daemon of a node; an Error when none was started there. */
  daemon(node: Machine): Daemon {
    const daemon = this.daemons.get(node.name);
    if (daemon === undefined) throw new Error(`no daemon was started on ${node.name}`);
    return daemon;
  }

  /** Answers for the prober on all control-plane nodes; they come back by themselves in `powerOn`. */
  async startResponders(): Promise<void> {
    await Promise.all(this.lab.controlPlanes.map((node) => startResponder(node)));
    for (const node of this.lab.controlPlanes) this.#responders.add(node.name);
  }

  /** Who the lease says holds it; undefined when there is no lease, '' when it was released. */
  async leaseHolder(): Promise<string | undefined> {
    const answer = await this.api.client.ask('GET', leasePath);
    if (answer.status === 404) return undefined;
    return (JSON.parse(answer.body) as LeaseObject).spec?.holderIdentity ?? '';
  }

  /** Waits until exactly one node carries the address, and returns it. */
  async holder(address: string = this.lab.plan.vip(0), timeoutMs = 60_000): Promise<Machine> {
    const name = await waitFor(
      async () => {
        const holders = await this.lab.holders(address);
        return holders.length === 1 ? holders[0] : undefined;
      },
      {
        what: `one holder of ${address}`,
        timeoutMs,
        detail: () => [...this.daemons.values()].map((daemon) => daemon.process.tail()).join('\n'),
      },
    );
    const node = this.lab.controlPlanes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`${name} is no control-plane node`);
    return node;
  }

  /** Like `kubectl delete lease plndr-cp-lock`; false when there was none. */
  deleteLease(): Promise<boolean> {
    return this.api.client.delete(leasePath);
  }

  /** As if somebody else had taken the lease. */
  async takeLease(identity: string): Promise<void> {
    const now = new Date().toISOString().replace('Z', '000Z');
    await this.api.client.patch(leasePath, {
      spec: { holderIdentity: identity, acquireTime: now, renewTime: now },
    });
  }

  /** Link down, then everything on the node dies at once and stays dead. */
  async powerOff(node: Machine): Promise<void> {
    this.daemons.get(node.name)?.halt();
    await node.powerOff();
  }

  /** The node comes back with all it ran before; ready when this resolves. */
  async powerOn(node: Machine): Promise<void> {
    await node.powerOn();
    await this.api.restartNode(node);
    if (this.#responders.has(node.name)) await startResponder(node);
    const daemon = this.daemons.get(node.name);
    daemon?.startAgain();
    await daemon?.waitReady();
  }

  async stop(): Promise<void> {
    await this.lab.stop();
  }
}
