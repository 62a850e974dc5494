import path from 'node:path';
import type { Cluster } from '../cluster.ts';
import { requireComponent } from '../components.ts';
import { httpGet } from '../http-get.ts';
import type { Machine } from '../machine.ts';
import { setSysctls } from '../netns.ts';
import type { Supervised } from '../supervised.ts';
import { waitFor } from '../wait.ts';
import { Kubelets } from './kubelets.ts';
import { PodNetwork } from './pod-network.ts';
import type { PodRunner } from './pod-runner.ts';
import { startControllerManager, startProxy } from './programs.ts';

export interface PodWish {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: Machine;
  /** How long it goes on serving after it was deleted; whole seconds, default 1. */
  readonly lingerSeconds?: number;
}

const proxyHealthPort = 10256;

/**
 * From the VIP to the process: real kube-controller-manager and kube-proxy (nftables), pods as namespaces on a
 * routed pod network, and what kubelets and the scheduler do. Needs real API servers.
 */
export class DataPath {
  readonly cluster: Cluster;
  readonly #network: PodNetwork;
  readonly #kubelets: Kubelets;
  readonly #managers = new Map<string, Supervised>();
  readonly #proxies = new Map<string, Supervised>();

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.#network = new PodNetwork(cluster.lab);
    this.#kubelets = new Kubelets(cluster, this.#network);
    cluster.lab.onStop(() => {
      this.#kubelets.close();
      for (const each of [...this.#managers.values(), ...this.#proxies.values()]) each.halt();
      return Promise.resolve();
    });
  }

  /** Ready when every kube-proxy has its rules in place. */
  static async start(cluster: Cluster): Promise<DataPath> {
    const dataPath = new DataPath(cluster);
    const { lab, real } = cluster;
    // Leaves the ports below to `Requests`.
    await setSysctls(lab.client.namespace, { 'net.ipv4.ip_local_port_range': '61000 65000' });
    await Promise.all(lab.nodes.map((node) => dataPath.#prepare(node)));
    dataPath.#kubelets.start();
    for (const node of lab.controlPlanes)
      dataPath.#managers.set(node.name, startControllerManager(real, node));
    for (const node of lab.nodes)
      dataPath.#proxies.set(node.name, startProxy(real, node, dataPath.#serverFor(node)));
    await Promise.all(lab.nodes.map((node) => dataPath.#proxyReady(node)));
    return dataPath;
  }

  /** Pods that run or are being started or ended. */
  pods(labels: Readonly<Record<string, string>> = {}): readonly PodRunner[] {
    return this.#kubelets.runners.filter(({ pod }) =>
      Object.entries(labels).every(([name, value]) => pod.metadata.labels?.[name] === value),
    );
  }

  /** Waits until so many pods with these labels, and no other, are ready. */
  async ready(
    labels: Readonly<Record<string, string>>,
    count: number,
    timeoutMs = 30_000,
  ): Promise<readonly PodRunner[]> {
    return waitFor(
      () => {
        const pods = this.pods(labels);
        return pods.length === count && pods.every(({ isReady }) => isReady) ? pods : undefined;
      },
      {
        what: `${count} ready pods with ${JSON.stringify(labels)}`,
        timeoutMs,
        detail: () =>
          [
            this.#kubelets.trouble,
            ...this.pods(labels).map(
              (pod) => `${pod.name} ${pod.node.name} ${pod.isReady} ${pod.process?.tail(5) ?? ''}`,
            ),
          ].join('\n'),
      },
    );
  }

  /** A pod on this node that answers on port 8080; resolves when it is ready. */
  async addPod(wish: PodWish): Promise<PodRunner> {
    const { name, namespace, labels, node, lingerSeconds = 1 } = wish;
    await this.cluster.api.client.create(`/api/v1/namespaces/${namespace}/pods`, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels },
      spec: {
        nodeName: node.name,
        terminationGracePeriodSeconds: lingerSeconds + 5,
        containers: [echoContainer(lingerSeconds)],
      },
    });
    return waitFor(
      () =>
        this.pods().find(
          ({ pod, isReady }) => pod.metadata.name === name && pod.metadata.namespace === namespace && isReady,
        ),
      { what: `pod ${name}`, timeoutMs: 60_000, detail: () => this.#kubelets.trouble },
    );
  }

  /** Gracefully, as `kubectl delete pod`; resolves when the object is gone. */
  async removePod({ pod }: PodRunner): Promise<void> {
    const path_ = `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`;
    await this.cluster.api.client.delete(path_);
    await waitFor(async () => (await this.cluster.api.client.ask('GET', path_)).status === 404, {
      what: `${path_} to go`,
      timeoutMs: 60_000,
    });
  }

  /** Objects in YAML, one or more documents. */
  async apply(manifest: string): Promise<void> {
    await this.kubectl(['apply', '-f', '-'], manifest);
  }

  /** Every copy is replaced, in the way the Deployment says; resolves when that is done. */
  async rollOut(deployment: string, namespace: string): Promise<void> {
    const where = [`deployment/${deployment}`, '-n', namespace];
    await this.kubectl(['rollout', 'restart', ...where]);
    await this.kubectl(['rollout', 'status', ...where, '--timeout=90s']);
  }

  /** `kubectl drain`: no new pods, and those that are there are evicted. `uncordon` undoes the first. */
  async drain(node: Machine): Promise<void> {
    await this.kubectl(['drain', node.name, '--ignore-daemonsets', '--force', '--timeout=90s']);
  }

  async uncordon(node: Machine): Promise<void> {
    await this.kubectl(['uncordon', node.name]);
  }

  /** The real one, as administrator; its standard output. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const { lab, api } = this.cluster;
    const config = api.kubeconfig(lab.client, 'admin', this.#liveServer());
    const common = [`--kubeconfig=${config}`, `--cache-dir=${path.join(lab.dir, 'kubectl')}`];
    return lab.client.run(requireComponent('kubectl'), [...common, ...args], {
      timeoutMs: 120_000,
      ...(input === undefined ? {} : { input }),
    });
  }

  /** `Cluster.powerOff`, with everything this adds to the node. */
  async powerOff(node: Machine): Promise<void> {
    this.#managers.get(node.name)?.halt();
    this.#proxies.get(node.name)?.halt();
    await this.cluster.powerOff(node);
    await this.#kubelets.powerOff(node);
  }

  /** Without rules left over: a boot starts with none. */
  async powerOn(node: Machine): Promise<void> {
    await node.run('nft', ['flush', 'ruleset']);
    await this.cluster.powerOn(node);
    await this.#network.prepare(node);
    this.#managers.get(node.name)?.startAgain();
    this.#proxies.get(node.name)?.startAgain();
    await this.#proxyReady(node);
    await this.cluster.setNodeReady(node, true);
    this.#kubelets.powerOn(node);
  }

  async #prepare(node: Machine): Promise<void> {
    await this.#network.prepare(node);
    const podCIDRs = this.#network.cidrsOf(node);
    await this.cluster.api.client.patch(`/api/v1/nodes/${node.name}`, {
      spec: { podCIDR: podCIDRs[0], podCIDRs },
    });
  }

  async #proxyReady(node: Machine): Promise<void> {
    const proxy = this.#proxies.get(node.name);
    await waitFor(
      async () => (await httpGet(node, '127.0.0.1', proxyHealthPort, '/healthz', 1_000))?.status === 200,
      {
        what: `kube-proxy on ${node.name}`,
        timeoutMs: 60_000,
        everyMs: 100,
        detail: () => proxy?.process.tail(30) ?? '',
      },
    );
  }

  /** A control-plane node asks its own API server, a worker the first one. */
  #serverFor(node: Machine): string | undefined {
    return node.role === 'worker' ? this.#liveServer() : undefined;
  }

  #liveServer(): string {
    const isUp = (node: Machine): boolean => {
      const last = node.powerCuts.at(-1);
      return last === undefined || last.until !== undefined;
    };
    const node = this.cluster.lab.controlPlanes.find(isUp);
    if (node === undefined) throw new Error('every control-plane node is without power');
    return this.cluster.real.serverOf(node);
  }
}

function echoContainer(lingerSeconds: number): object {
  const script = path.join(import.meta.dirname, 'echo-server.ts');
  return {
    name: 'echo',
    image: 'node',
    command: ['node', script],
    env: [
      { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    ],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/', port: 'http' } },
    lifecycle: { preStop: { sleep: { seconds: lingerSeconds } } },
  };
}
