import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Cluster, Supervised, waitFor, type Daemon, type Machine } from '../../lab/index.ts';
import type { Inside } from './inside.ts';
import { pooledVips } from './model.ts';
import type { Feature, SoakOptions } from './options.ts';
import { OverlapWatch } from './overlaps.ts';

const relayScript = fileURLToPath(new URL('relay.ts', import.meta.url));
const insideModule = new URL('inside.ts', import.meta.url).href;

export const namespace = 'shop';

/** The cluster of a soak: three nodes with all that is asked for, and something on the API port of each. */
export class Site {
  readonly cluster: Cluster;
  readonly options: SoakOptions;
  readonly watch: OverlapWatch;
  /** By name of the node; with real API servers there are none. */
  readonly relays = new Map<string, Supervised>();

  private constructor(cluster: Cluster, options: SoakOptions) {
    this.cluster = cluster;
    this.options = options;
    const { plan } = cluster.lab;
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    const vips = new Set<string>(numbers.flatMap((n) => [plan.vip(n), plan.vip6(n)]));
    this.watch = new OverlapWatch(cluster.lab, (address) => vips.has(address));
  }

  static async start(options: SoakOptions): Promise<Site> {
    const cluster = await Cluster.start({ api: options.api, controlPlanes: 3 });
    try {
      const site = new Site(cluster, options);
      await site.#prepare();
      return site;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get nodes(): readonly Machine[] {
    return this.cluster.lab.controlPlanes;
  }

  /** The node whose process is never ended: what leaks shows there. */
  get oldest(): Machine {
    return this.cluster.lab.node(2);
  }

  /** The nodes whose processes may be ended. */
  get mortal(): readonly Machine[] {
    return this.nodes.filter((node) => node !== this.oldest);
  }

  get controlPlaneVips(): readonly string[] {
    const { plan } = this.cluster.lab;
    return this.has('dual') ? [plan.vip(0), plan.vip6(0)] : [plan.vip(0)];
  }

  async #prepare(): Promise<void> {
    const { api, lab } = this.cluster;
    await api.client.create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    });
    const range = `${lab.plan.vip(pooledVips.first)}-${lab.plan.vip(pooledVips.first + pooledVips.count - 1)}`;
    if (this.has('ipam'))
      await api.client.create('/api/v1/namespaces/kube-system/configmaps', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'kubevip', namespace: 'kube-system' },
        data: { 'range-global': range },
      });
    for (const node of this.nodes) {
      if (api.kind === 'embedded') this.#startRelay(node);
      this.#startDaemon(node);
    }
    await Promise.all(this.nodes.map((node) => this.daemon(node).waitReady()));
  }

  #startRelay(node: Machine): void {
    const { api, lab } = this.cluster;
    const port = String(api.port);
    const command = [process.execPath, relayScript, port, lab.api.ipv4, port];
    const relay = new Supervised(node, 'relay', command, { restartDelayMs: 1500 });
    lab.onStop(() => {
      relay.halt();
      return Promise.resolve();
    });
    this.relays.set(node.name, relay);
  }

  #startDaemon(node: Machine): void {
    const { api } = this.cluster;
    mkdirSync(node.dir, { recursive: true });
    this.cluster.startDaemon(node, {
      env: {
        NODE_OPTIONS: `--import=${insideModule}`,
        SOAK_INSIDE: this.#insideSocket(node),
        address: this.controlPlaneVips.join(),
        svc_enable: 'true',
        svc_election: String(this.has('election')),
        svc_ipam: String(this.has('ipam')),
        enable_service_security: String(this.has('security')),
        enable_node_labeling: 'true',
        lb_enable: 'true',
        lb_backend: 'nftables',
        lb_fwdmethod: 'masquerade',
        ...(api.kind === 'embedded'
          ? { k8s_config_file: api.kubeconfig(node, 'admin', `http://${node.ipv4}:${api.port}`) }
          : {}),
      },
      options: { program: this.options.program },
    });
  }

  has(feature: Feature): boolean {
    return this.options.features.has(feature);
  }

  daemon(node: Machine): Daemon {
    return this.cluster.daemon(node);
  }

  nodeNamed(name: string): Machine {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  #insideSocket(node: Machine): string {
    return path.join(node.dir, 'inside.sock');
  }

  /** What a daemon says of itself, all garbage collected. */
  inside(node: Machine): Promise<Inside> {
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(this.#insideSocket(node));
      socket.setEncoding('utf8').setTimeout(20_000, () => socket.destroy(new Error('no answer from inside')));
      socket.on('data', (piece: string) => (text += piece));
      socket.on('error', reject);
      socket.on('end', () => resolve(JSON.parse(text) as Inside));
    });
  }

  /** Nothing is broken any more, and every process runs and is ready. */
  async heal(): Promise<void> {
    const { cluster } = this;
    if (cluster.api.kind === 'embedded') await cluster.embedded.command({ do: 'clear' });
    await cluster.api.bringBack();
    for (const node of this.nodes) {
      await node.cable.heal();
      this.daemon(node).signal('SIGCONT');
    }
    await Promise.all(this.nodes.map((node) => this.daemon(node).waitReady()));
    for (const { node } of this.relays.values())
      await waitFor(() => cluster.api.client.ready(`http://${node.ipv4}:${cluster.api.port}`), {
        what: `the API port of ${node.name}`,
        timeoutMs: 60_000,
      });
  }
}
