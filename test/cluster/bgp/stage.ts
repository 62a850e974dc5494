import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Bird,
  Cluster,
  ensurePrivilege,
  findComponent,
  kernelNextHops,
  waitFor,
  type Daemon,
  type LabProcess,
  type Machine,
  type Neighbor,
} from '../../../lab/index.ts';

export const NODE_AS = 65_000;
export const ROUTER_AS = 65_500;
/** No link of the lab has them: only a route leads there. */
export const VIP = '198.51.100.10';
export const VIP6 = '2001:db8:77::10';

/**
 * Milliseconds in which a withdrawn route goes, however busy the machine is. The hold time, after which one goes that
 * nobody has withdrawn, is 30 s (`bgp_hold_time`), counted from the last of the messages that come every 10 s.
 */
export const WITHDRAWN_WITHIN = 15_000;

export type Env = Readonly<Record<string, string>>;

/** Why these tests cannot run here, or false. */
export function whySkipped(): string | false {
  const refused = ensurePrivilege();
  const bird = findComponent('bird');
  return refused?.because ?? ('missing' in bird ? bird.because : false);
}

/** A cluster whose router speaks BGP with the control-plane nodes. */
export class BgpStage {
  readonly cluster: Cluster;
  router: Bird;

  private constructor(cluster: Cluster, router: Bird) {
    this.cluster = cluster;
    this.router = router;
  }

  /** @param isWatched The router watches the nodes by BFD. */
  static async start(controlPlanes: number, isWatched = false): Promise<BgpStage> {
    const cluster = await Cluster.start({ api: 'embedded', controlPlanes });
    const neighbors = cluster.lab.controlPlanes.map(({ ipv4: address }): Neighbor => {
      return { address, as: NODE_AS, families: [4, 6], bfd: isWatched };
    });
    const stage = new BgpStage(cluster, await Bird.start(cluster.lab.router, { as: ROUTER_AS, neighbors }));
    await cluster.startResponders();
    return stage;
  }

  async stop(): Promise<void> {
    await this.router.stop();
    await this.cluster.stop();
  }

  get routerAddress(): string {
    return this.cluster.lab.router.ipv4;
  }

  /** Settings of a node that has both VIPs on `lo` and tells the router over IPv4. */
  env(node: Machine): Env {
    return {
      vip_arp: 'false',
      bgp_enable: 'true',
      address: `${VIP},${VIP6}`,
      vip_interface: 'lo',
      // A machine that stands still for some seconds loses no lease, and takes no API server for dead.
      vip_leaseduration: '30',
      vip_renewdeadline: '20',
      control_plane_health_check_timeout_seconds: '20',
      bgp_as: String(NODE_AS),
      bgp_routerid: node.ipv4,
      bgp_peers: `${this.routerAddress}:${ROUTER_AS}::false::mpbgp_nexthop=fixed;mpbgp_ipv6=[${node.ipv6}]`,
    };
  }

  /**
   * Runs unsupervised daemons in BGP mode on these nodes, and ends them. The body gets the first one, and
   * `untilLogged` looks at what that one says.
   */
  async withDaemons(
    nodes: readonly Machine[],
    env: Env,
    body: (daemon: Daemon, untilLogged: (pattern: RegExp) => Promise<unknown>) => Promise<void>,
  ): Promise<void> {
    const daemons = nodes.map((node) =>
      this.cluster.startDaemon(node, {
        env: { ...this.env(node), ...env },
        options: { supervise: false },
      }),
    );
    const [first] = daemons;
    if (first === undefined) throw new Error('no node was named');
    const untilLogged = (pattern: RegExp): Promise<unknown> =>
      waitFor(() => pattern.test(first.log()), {
        what: `a line like ${pattern.source}`,
        detail: () => first.process.tail(30),
      });
    try {
      await body(first, untilLogged);
    } finally {
      for (const daemon of daemons) if (daemon.process.alive) await daemon.stop();
    }
  }

  /** What the daemon prints on SIGUSR1. */
  async dump(daemon: Daemon): Promise<string> {
    const end = 'END OF CONFIGURATION DUMP';
    const before = daemon.log().length;
    daemon.signal('SIGUSR1');
    return waitFor(
      () => {
        const text = daemon.log().slice(before);
        return text.includes(end) ? text : undefined;
      },
      { what: 'the dump', detail: () => daemon.process.tail(30) },
    );
  }

  hops(prefix = VIP): Promise<readonly string[]> {
    return kernelNextHops(this.cluster.lab.router, prefix);
  }

  untilHops(prefix: string, hops: readonly string[], timeoutMs = 60_000): Promise<unknown> {
    return waitFor(async () => (await this.hops(prefix)).join(' ') === hops.toSorted().join(' '), {
      what: `the router's route to ${prefix} by ${hops.join(' ') || 'nobody'}`,
      timeoutMs,
      detail: () => [...this.cluster.daemons.values()].map((each) => each.process.tail(30)).join('\n'),
    });
  }

  /** Withdrawals that the router has heard in the present session with a node. */
  async withdrawals(node: Machine): Promise<number> {
    const text = await this.router.session(node.ipv4);
    const counts = [...text.matchAll(/Import withdraws:\s+(\d+)/g)].map(([, count]) => Number(count));
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

/** What the health check of a node is answered: statuses, one after the other and then from the start. */
export class HealthEndpoint {
  readonly #file: string;
  readonly #process: LabProcess;

  private constructor(file: string, process: LabProcess) {
    this.#file = file;
    this.#process = process;
  }

  /** Listening when this resolves. */
  static async start(
    node: Machine,
    port: number,
    statuses: string,
    tls?: { readonly certFile: string; readonly keyFile: string },
  ): Promise<HealthEndpoint> {
    const name = `health-${port}`;
    const file = path.join(node.dir, name);
    const script = fileURLToPath(new URL('health-server.ts', import.meta.url));
    const files = tls === undefined ? [] : [tls.certFile, tls.keyFile];
    writeFileSync(file, statuses);
    const server = node.start(name, [process.execPath, script, String(port), file, ...files]);
    await server.waitForLog(/listening/);
    return new HealthEndpoint(file, server);
  }

  /** In one step: it may be read at any moment. */
  answer(statuses: string): void {
    writeFileSync(`${this.#file}.new`, statuses);
    renameSync(`${this.#file}.new`, this.#file);
  }

  /** Statuses answered so far, oldest first. */
  answers(): readonly string[] {
    return [...this.#process.log().matchAll(/^answer (\d+)$/gm)].map(([, status]) => status ?? '');
  }

  /** Until this many more questions have been answered, or have been with this status. */
  async untilAsked(times: number, status?: string): Promise<void> {
    const count = (): number =>
      this.answers().filter((each) => status === undefined || each === status).length;
    const before = count();
    await waitFor(() => count() >= before + times, {
      what: `${times} health checks${status === undefined ? '' : ` that are answered ${status}`}`,
      timeoutMs: 60_000,
      detail: () => this.#process.tail(),
    });
  }
}
