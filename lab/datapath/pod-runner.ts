import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../api-client.ts';
import { httpGet } from '../http-get.ts';
import type { Lab } from '../lab.ts';
import type { Machine } from '../machine.ts';
import { LabProcess } from '../process.ts';
import { configMapsOf, containerOf, containerRun, portOf } from './container.ts';
import type { PodLink, PodNetwork } from './pod-network.ts';
import { podStatus } from './pod-status.ts';
import { isReady, type Pod } from './types.ts';

export interface RunnerParts {
  readonly lab: Lab;
  readonly client: ApiClient;
  readonly network: PodNetwork;
}

const restartDelayMs = 1_000;

/**
 * One pod on one node, as a kubelet runs it: namespace and address, process, readiness, status; restarted when it
 * ends by itself. Deleted: preStop sleep, SIGTERM, SIGKILL when the grace period is over, then the object goes.
 */
export class PodRunner {
  readonly pod: Pod;
  readonly node: Machine;
  /** Undefined until it has an address. */
  link: PodLink | undefined;
  process: LabProcess | undefined;
  isReady = false;
  /** Everything is over, or the node lost its power. */
  hasEnded = false;
  #restarts = 0;
  #isLeaving = false;
  readonly #parts: RunnerParts;
  readonly #dir: string;

  constructor(parts: RunnerParts, pod: Pod, node: Machine) {
    this.#parts = parts;
    this.pod = pod;
    this.node = node;
    this.#dir = path.join(node.dir, 'pods', pod.metadata.name);
    mkdirSync(this.#dir, { recursive: true });
  }

  get name(): string {
    return this.pod.metadata.name;
  }

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Runs until the pod is to go; never rejects: a pod that cannot run says so in its status. */
  async run(): Promise<void> {
    try {
      this.link = await this.#parts.network.attach(this.node);
      while (!this.#isOver()) {
        await this.#runOnce();
        this.#restarts++;
        if (!this.#isOver()) await sleep(restartDelayMs);
      }
    } catch (error) {
      await this.#write(false, error instanceof Error ? error.message : String(error));
    }
  }

  /** The pod was deleted; resolves when nothing of it is left. */
  async terminate(): Promise<void> {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    const { metadata, spec } = this.pod;
    const graceMs = (metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30) * 1000;
    const end = performance.now() + graceMs;
    const preStopMs = (containerOf(this.pod).lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000;
    if (this.process?.alive === true) {
      await sleep(Math.min(preStopMs, graceMs), undefined, { ref: false });
      await this.process.stop(Math.max(0, end - performance.now()));
    }
    if (this.hasEnded) return;
    await this.#clear();
    const body = { preconditions: { uid: metadata.uid }, gracePeriodSeconds: 0 };
    await this.#persist('DELETE', this.#path(), { body }, () => false);
  }

  /** The node lost its power, or the object vanished: the process dies and nothing is written. */
  async abandon(): Promise<void> {
    this.#isLeaving = true;
    this.hasEnded = true;
    await this.process?.kill();
    await this.#clear();
  }

  /** As if its readiness probe failed, or succeeded again. */
  async setReady(isReady: boolean): Promise<void> {
    await this.#write(isReady);
  }

  /** Where a status says something else, as when the node was taken for dead for a while, it is written again. */
  async sync({ status }: Pod): Promise<void> {
    if (this.#isOver() || this.process === undefined || isReady(status) === this.isReady) return;
    await this.#write(this.isReady);
  }

  async #runOnce(): Promise<void> {
    const { link } = this;
    if (link === undefined) return;
    const process = await this.#start(link);
    this.process = process;
    await this.#write(false);
    const probing = this.#untilReady(process, link).then(
      () => (process.alive ? this.#write(true) : undefined),
      () => undefined,
    );
    await process.exited;
    await probing;
    if (!this.#isOver()) await this.#write(false);
  }

  async #start(link: PodLink): Promise<LabProcess> {
    const { pod, node } = this;
    const { client, lab } = this.#parts;
    const maps = configMapsOf(pod).map(async (name) => {
      const map = await client.get<{ readonly data?: Readonly<Record<string, string>> }>(
        `/api/v1/namespaces/${pod.metadata.namespace}/configmaps/${name}`,
      );
      return [name, map.data ?? {}] as const;
    });
    const { command, env } = containerRun(pod, {
      nodeName: node.name,
      hostIp: node.ipv4,
      addresses: link.addresses,
      dir: this.#dir,
      configMaps: new Map(await Promise.all(maps)),
    });
    return LabProcess.start(lab.registry, `${node.name}/${this.name}`, {
      namespace: link.namespace,
      command,
      env,
      logFile: path.join(this.#dir, 'log'),
    });
  }

  /** The probe is asked until it first says yes; after that, readiness follows the process. */
  async #untilReady(process: LabProcess, link: PodLink): Promise<void> {
    const container = containerOf(this.pod);
    const probe = container.readinessProbe?.httpGet;
    if (probe === undefined) return;
    const port = portOf(container, probe);
    while (process.alive && !this.#isOver()) {
      const answer = await httpGet(this.node, link.addresses.ipv4, port, probe.path ?? '/', 1_000);
      if (answer?.status === 200) return;
      await sleep(50);
    }
  }

  async #write(isReady: boolean, failure?: string): Promise<void> {
    this.isReady = isReady;
    const status = podStatus(this.pod, this.node, {
      isReady,
      failure,
      restarts: this.#restarts,
      addresses: this.link?.addresses,
    });
    await this.#persist(
      'PATCH',
      `${this.#path()}/status`,
      {
        body: { metadata: { uid: this.pod.metadata.uid }, status },
        contentType: 'application/merge-patch+json',
      },
      () => this.hasEnded,
    );
  }

  /** Until a server has taken it: they may be away, or just one of them. */
  async #persist(
    method: string,
    url: string,
    options: { readonly body: object; readonly contentType?: string },
    isVain: () => boolean,
  ): Promise<void> {
    for (let attempt = 0; attempt < 300 && !isVain(); attempt++) {
      const done = await this.#parts.client.ask(method, url, options).catch(() => undefined);
      // 404 and 409: another pod has its name, or none.
      if (done !== undefined && (done.status < 300 || [404, 409].includes(done.status))) return;
      await sleep(100, undefined, { ref: false });
    }
  }

  async #clear(): Promise<void> {
    this.hasEnded = true;
    const { link } = this;
    if (link !== undefined) await this.#parts.network.detach(link);
  }

  #isOver(): boolean {
    return this.#isLeaving || this.hasEnded;
  }

  #path(): string {
    return `/api/v1/namespaces/${this.pod.metadata.namespace}/pods/${this.name}`;
  }
}
