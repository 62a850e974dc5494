import { KubeError } from '../../../src/kube/index.ts';
import type { KubeErrorKind, KubeObject } from '../../../src/kube/types.ts';
import { Assigner, projectCandidate, type Candidate, type IpamOptions } from '../../../src/ipam/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { serviceObject, settings, type ServiceWish } from './scene.ts';

interface Outstanding {
  readonly object: KubeObject;
  readonly answer: (failure?: KubeErrorKind) => void;
}

const addresses = 'kube-vip.io/loadbalancerIPs';

/** Versions, conflicts, finalizers and events in order: what an API server is to the assigner, in one thread. */
export class World {
  readonly objects = new Map<string, KubeObject>();
  readonly clock = new FakeClock();
  /** Updates that were sent and not answered yet. */
  outstanding: Outstanding[] = [];
  sent = 0;
  /** What users were told: `namespace/name Reason`. */
  readonly notices: string[] = [];
  /** How often the ConfigMap was created. */
  created = 0;
  /** What the fence of the leader says. */
  holds = true;
  leader: Leader;
  private revision = 0;
  private readonly data: Readonly<Record<string, string>>;

  constructor(data: Readonly<Record<string, string>>) {
    this.data = data;
    this.leader = this.elect();
  }

  create(key: string, wish: ServiceWish): void {
    const slash = key.indexOf('/');
    const object = serviceObject({ namespace: key.slice(0, slash), name: key.slice(slash + 1) }, wish);
    this.commit(key, { ...object, metadata: { ...object.metadata, uid: `u${this.revision}` } });
  }

  /** Some other client changes an annotation. */
  touch(key: string): void {
    const object = this.objects.get(key);
    if (object === undefined) return;
    const annotations = { ...object.metadata.annotations, touched: String(this.revision) };
    this.commit(key, { ...object, metadata: { ...object.metadata, annotations } });
  }

  /** Some other client puts it back to what it was without us. */
  strip(key: string): void {
    const object = this.objects.get(key);
    if (object === undefined) return;
    const without = (from: object, name: string): object =>
      Object.fromEntries(Object.entries(from).filter(([each]) => each !== name));
    const { spec = {} } = object as KubeObject & { readonly spec?: object };
    const annotations = without(object.metadata.annotations ?? {}, addresses);
    const metadata = { ...object.metadata, annotations };
    this.commit(key, { ...object, metadata, spec: without(spec, 'loadBalancerIP') } as KubeObject);
  }

  setType(key: string, type: string): void {
    const object = this.objects.get(key) as (KubeObject & { readonly spec?: object }) | undefined;
    if (object !== undefined) this.commit(key, { ...object, spec: { ...object.spec, type } } as KubeObject);
  }

  remove(key: string): void {
    const object = this.objects.get(key);
    if (object === undefined) return;
    if ((object.metadata.finalizers ?? []).length === 0) this.vanish(key, object);
    else this.commit(key, { ...object, metadata: { ...object.metadata, deletionTimestamp: 'now' } });
  }

  /** The oldest update under way arrives. `lost`: its answer does not come back. */
  land(isAnswerLost = false): void {
    const next = this.outstanding.shift();
    if (next === undefined) return;
    const { metadata } = next.object;
    const key = `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
    const current = this.objects.get(key);
    if (current === undefined) next.answer('not-found');
    else if (current.metadata.resourceVersion !== metadata.resourceVersion) next.answer('conflict');
    else {
      const isGone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
      if (isGone) this.vanish(key, current);
      else this.commit(key, next.object);
      next.answer(isAnswerLost ? 'timeout' : undefined);
    }
  }

  /** The oldest update under way never arrives. */
  dropOne(): void {
    this.outstanding.shift()?.answer('unreachable');
  }

  /** Another process takes the lease. What the one before had sent has arrived by then, or never will. */
  changeLeader(): void {
    this.leader.assigner.close();
    this.outstanding = [];
    this.leader = this.elect();
  }

  /** Until nothing moves any more. */
  async settle(): Promise<void> {
    for (let quiet = 0, round = 0; quiet < 2; round++) {
      if (round > 100) throw new Error('it never comes to rest');
      this.leader.deliver(Infinity);
      while (this.outstanding.length > 0) this.land();
      await turn();
      const before = this.sent;
      await this.clock.advance(60_000);
      quiet = this.sent === before && this.leader.isUpToDate() ? quiet + 1 : 0;
    }
  }

  send(object: KubeObject): Promise<void> {
    this.sent++;
    return new Promise((resolve, reject) => {
      const answer = (kind?: KubeErrorKind): void => {
        if (kind === undefined) resolve();
        else reject(new KubeError({ kind, message: kind, path: '' }));
      };
      this.outstanding.push({ object, answer });
    });
  }

  private elect(): Leader {
    return new Leader(this, settings, this.data);
  }

  private commit(key: string, object: KubeObject): void {
    const metadata = { ...object.metadata, resourceVersion: String(++this.revision) };
    const now = { ...object, metadata };
    this.objects.set(key, now);
    this.leader.events.push({ key, now });
  }

  private vanish(key: string, before: KubeObject): void {
    this.objects.delete(key);
    this.leader.events.push({ key, now: undefined, before });
  }
}

/** An assigner and the events its watch has not brought yet. */
class Leader {
  readonly assigner: Assigner;
  readonly events: {
    readonly key: string;
    readonly now: KubeObject | undefined;
    readonly before?: KubeObject;
  }[] = [];
  private readonly options: IpamOptions;
  private readonly known = new Map<string, Candidate>();

  constructor(world: World, options: IpamOptions, data: Readonly<Record<string, string>>) {
    this.options = options;
    this.assigner = new Assigner(
      {
        write: (object) => world.send(object),
        createConfigMap: () => {
          world.created++;
          return Promise.resolve();
        },
        clock: world.clock,
        random: () => 0.5,
        log: silentLogger,
        observer: {
          notice: ({ key }, { reason }) => void world.notices.push(`${key} ${reason}`),
        },
      },
      options,
      { holds: () => world.holds },
    );
    const { assigner } = this;
    const map = { metadata: options.configMap, data };
    assigner.configListener.changed?.('kube-system/kubevip', map, undefined);
    assigner.configListener.synced?.(new Map([['kube-system/kubevip', map]]));
    assigner.nodesListener.synced?.(new Map());
    for (const [key, object] of world.objects) this.put(key, object);
    assigner.servicesListener.synced?.(this.known);
  }

  /** The ConfigMap is deleted, or is there again. */
  config(data: Readonly<Record<string, string>> | undefined): void {
    const { configListener } = this.assigner;
    const map = { metadata: this.options.configMap, data: data ?? {} };
    if (data === undefined) configListener.removed?.('kube-system/kubevip', map);
    else configListener.changed?.('kube-system/kubevip', map, undefined);
  }

  isUpToDate(): boolean {
    return this.events.length === 0;
  }

  /** The watch brings this many events. */
  deliver(count: number): void {
    for (const { key, now } of this.events.splice(0, count)) {
      if (now !== undefined) this.put(key, now);
      else {
        const before = this.known.get(key);
        this.known.delete(key);
        if (before !== undefined) this.assigner.servicesListener.removed?.(key, before);
      }
    }
  }

  private put(key: string, object: KubeObject): void {
    const now = projectCandidate(object, this.options);
    const before = this.known.get(key);
    this.known.set(key, now);
    this.assigner.servicesListener.changed?.(key, now, before);
  }
}

/** Lets every promise that is ready run. */
export async function turn(): Promise<void> {
  for (let n = 0; n < 8; n++) await Promise.resolve();
}
