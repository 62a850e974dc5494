import type { Cluster, LeaseTimes, Machine, Supervised } from '../../lab/index.ts';
import { startKeepalived, waitFor } from '../../lab/index.ts';

/** A program that moves a VIP, under test: the one of this project, or keepalived beside it on the same bridge. */
export interface Subject {
  readonly name: string;
  readonly kind: 'kube-vip' | 'keepalived';
  readonly vip: string;
  /** Longest time in which a dead holder must have been replaced. */
  readonly patienceMs: number;
  readonly lease: LeaseTimes | undefined;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Its process on a node, restarted by a supervisor one second after it ends. */
  process(node: Machine): Supervised;
  powerOff(node: Machine): Promise<void>;
  powerOn(node: Machine): Promise<void>;
}

export class KubeVip implements Subject {
  readonly kind = 'kube-vip';
  readonly name: string;
  readonly vip: string;
  readonly patienceMs: number;
  readonly lease: LeaseTimes;
  readonly #cluster: Cluster;
  readonly #expires: boolean;

  /** @param expires `vip_expire_with_lease` */
  constructor(cluster: Cluster, lease: LeaseTimes, expires: boolean) {
    this.#cluster = cluster;
    this.#expires = expires;
    this.lease = lease;
    this.name = `kube-vip ${lease.duration}/${lease.renewDeadline}/${lease.retryPeriod}${expires ? '+expire' : ''}`;
    this.vip = cluster.lab.plan.vip(0);
    this.patienceMs = (lease.duration + lease.retryPeriod * 3) * 1000 + 10_000;
  }

  async start(): Promise<void> {
    const env = { vip_expire_with_lease: String(this.#expires) };
    await this.#cluster.startDaemons({ vip: this.vip, lease: this.lease, env });
    await this.#cluster.holder(this.vip, this.patienceMs);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#cluster.daemons.values()].map((daemon) => daemon.stop()));
    await this.#cluster.deleteLease();
  }

  process(node: Machine): Supervised {
    return this.#cluster.daemon(node);
  }

  powerOff(node: Machine): Promise<void> {
    return this.#cluster.powerOff(node);
  }

  powerOn(node: Machine): Promise<void> {
    return this.#cluster.powerOn(node);
  }
}

export class Keepalived implements Subject {
  readonly kind = 'keepalived';
  readonly name: string;
  readonly vip: string;
  readonly patienceMs = 20_000;
  readonly lease = undefined;
  readonly #cluster: Cluster;
  readonly #advertSeconds: number;
  readonly #processes = new Map<string, Supervised>();

  constructor(cluster: Cluster, advertSeconds: number) {
    this.#cluster = cluster;
    this.#advertSeconds = advertSeconds;
    this.name = `keepalived ${advertSeconds} s`;
    this.vip = cluster.lab.plan.vip(1);
  }

  async start(): Promise<void> {
    this.#cluster.lab.controlPlanes.forEach((node, rank) => {
      this.#processes.set(node.name, startKeepalived(node, rank, this.vip, this.#advertSeconds));
    });
    await this.#cluster.holder(this.vip, this.patienceMs);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((each) => each.stop()));
    const held = async (): Promise<boolean> => (await this.#cluster.lab.holders(this.vip)).length > 0;
    await waitFor(async () => !(await held()), { what: 'keepalived to let go' });
  }

  process(node: Machine): Supervised {
    const found = this.#processes.get(node.name);
    if (found === undefined) throw new Error(`no keepalived on ${node.name}`);
    return found;
  }

  async powerOff(node: Machine): Promise<void> {
    this.process(node).halt();
    await this.#cluster.powerOff(node);
  }

  async powerOn(node: Machine): Promise<void> {
    await this.#cluster.powerOn(node);
    this.process(node).startAgain();
  }
}
