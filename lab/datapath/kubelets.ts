import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../api-client.ts';
import type { Cluster } from '../cluster.ts';
import type { Lab } from '../lab.ts';
import type { Machine } from '../machine.ts';
import type { PodNetwork } from './pod-network.ts';
import { PodRunner } from './pod-runner.ts';
import { chooseNode } from './scheduler.ts';
import { isReady, type List, type NodeObject, type Pod } from './types.ts';

const lookEveryMs = 100;
const heartbeatEveryMs = 1_000;

/**
 * What kubelets and the scheduler do, for all nodes of the lab: pods without a node are given one, pods of a node
 * with power run, deleted ones end, and each node with power renews its lease in kube-node-lease, and says so where
 * it or its pods have been taken for dead.
 */
export class Kubelets {
  readonly #cluster: Cluster;
  readonly #lab: Lab;
  readonly #client: ApiClient;
  readonly #network: PodNetwork;
  readonly #runners = new Map<string, PodRunner>();
  /** Pods that are over; a stale answer may still list them. */
  readonly #ended = new Set<string>();
  readonly #off = new Set<string>();
  readonly #stop = new AbortController();
  #lastTrouble = '';

  constructor(cluster: Cluster, network: PodNetwork) {
    this.#cluster = cluster;
    this.#lab = cluster.lab;
    this.#client = cluster.api.client;
    this.#network = network;
  }

  start(): void {
    void this.#repeat(lookEveryMs, () => this.#look());
    void this.#repeat(heartbeatEveryMs, () => this.#heartbeat());
  }

  close(): void {
    this.#stop.abort();
  }

  /** Pods that have a namespace, or are about to. */
  get runners(): readonly PodRunner[] {
    return [...this.#runners.values()];
  }

  /** Why the last look failed, for error messages. */
  get trouble(): string {
    return this.#lastTrouble;
  }

  /** The pods of the node die with it. */
  async powerOff(node: Machine): Promise<void> {
    this.#off.add(node.name);
    const here = this.runners.filter((runner) => runner.node === node);
    await Promise.all(here.map((runner) => runner.abandon()));
    for (const { pod } of here) this.#runners.delete(pod.metadata.uid);
  }

  /** Its kubelet starts what is still bound to the node. */
  powerOn(node: Machine): void {
    this.#off.delete(node.name);
  }

  async #repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await work().catch((error: unknown) => {
        this.#lastTrouble = error instanceof Error ? error.message : String(error);
      });
      await sleep(everyMs, undefined, { ref: false });
    }
  }

  async #look(): Promise<void> {
    const { items: pods } = await this.#client.get<List<Pod>>('/api/v1/pods?resourceVersion=0');
    if (this.#stop.signal.aborted) return;
    const present = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
    for (const [uid, runner] of this.#runners) {
      const now = present.get(uid);
      if (now === undefined) this.#forget(uid, runner);
      else if (now.metadata.deletionTimestamp !== undefined) this.#end(uid, runner);
    }
    for (const pod of pods) this.#begin(pod);
    const unbound = pods.filter(
      ({ spec, metadata }) => spec.nodeName === undefined && metadata.deletionTimestamp === undefined,
    );
    if (unbound.length > 0) await this.#schedule(unbound, pods);
  }

  #begin(pod: Pod): void {
    const { uid, deletionTimestamp } = pod.metadata;
    const node = this.#lab.nodes.find(({ name }) => name === pod.spec.nodeName);
    if (node === undefined || this.#off.has(node.name)) return;
    if (this.#runners.has(uid) || this.#ended.has(uid)) return;
    const runner = new PodRunner({ lab: this.#lab, client: this.#client, network: this.#network }, pod, node);
    this.#runners.set(uid, runner);
    if (deletionTimestamp === undefined) void runner.run();
    else this.#end(uid, runner);
  }

  #end(uid: string, runner: PodRunner): void {
    if (runner.isLeaving) return;
    void runner.terminate().finally(() => {
      this.#ended.add(uid);
      this.#runners.delete(uid);
    });
  }

  /** Deleted with no grace at all. */
  #forget(uid: string, runner: PodRunner): void {
    this.#runners.delete(uid);
    void runner.abandon();
  }

  /** One after the other: each choice counts for the next. */
  async #schedule(unbound: readonly Pod[], pods: readonly Pod[]): Promise<void> {
    const { items: nodes } = await this.#client.get<List<NodeObject>>('/api/v1/nodes');
    const present = [...pods];
    for (const pod of unbound) {
      const node = chooseNode(pod, nodes, present);
      if (node === undefined) continue;
      const { name, namespace } = pod.metadata;
      const { status } = await this.#client.ask(
        'POST',
        `/api/v1/namespaces/${namespace}/pods/${name}/binding`,
        {
          body: {
            apiVersion: 'v1',
            kind: 'Binding',
            metadata: { name, namespace },
            target: { apiVersion: 'v1', kind: 'Node', name: node.metadata.name },
          },
        },
      );
      if (status < 300) present.push({ ...pod, spec: { ...pod.spec, nodeName: node.metadata.name } });
    }
  }

  async #heartbeat(): Promise<void> {
    const alive = this.#lab.nodes.filter(({ name }) => !this.#off.has(name));
    await Promise.all(alive.map(({ name }) => this.#renew(name)));
    const { items: nodes } = await this.#client.get<List<NodeObject>>('/api/v1/nodes?resourceVersion=0');
    const { items: pods } = await this.#client.get<List<Pod>>('/api/v1/pods?resourceVersion=0');
    const lost = alive.filter((node) =>
      nodes.some(({ metadata, status }) => metadata.name === node.name && !isReady(status)),
    );
    await Promise.all([
      ...lost.map((node) => this.#cluster.setNodeReady(node, true)),
      ...pods.map((pod) => this.#runners.get(pod.metadata.uid)?.sync(pod)),
    ]);
  }

  async #renew(name: string): Promise<void> {
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const renewTime = new Date().toISOString().replace('Z', '000Z');
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace: 'kube-node-lease' },
      spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime },
    };
    const { status } = await this.#client.ask('PATCH', `${leases}/${name}`, {
      body,
      contentType: 'application/merge-patch+json',
    });
    if (status === 404) await this.#client.create(leases, body);
  }
}
