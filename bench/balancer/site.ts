import { existsSync } from 'node:fs';
import { Lab, type Machine } from '../../lab/index.ts';
import { setSysctls } from '../../lab/netns.ts';
import type { Ip } from '../../src/lib/ip.ts';
import { RemoteForwarding } from './remote.ts';
import { startIperf, startNginx } from './servers.ts';

/** Where one path ends for the client. Ports are its own on the back-ends too: nothing one path leaves is in the way of another. */
export interface Target {
  readonly address: Ip;
  /** nginx, on all back-ends. */
  readonly port: number;
  /** iperf3, on one back-end: its two connections must reach the same one. */
  readonly bulkPort: number;
}

/** More ports than Linux gives out, and TIME_WAIT is no reason to wait for one. */
const manyPorts = ['net.ipv4.ip_local_port_range=1024 65535', 'net.ipv4.tcp_tw_reuse=1'];
/** A switch has no packet filter, a Linux bridge may have one. */
const unfiltered = { 'net.bridge.bridge-nf-call-iptables': 0 };

/**
 *   client   back-end × 3   holder × paths      each: `eth0`, a port of one bridge
 *
 * Every path has a holder of its own, so that no rule set is in the way of another.
 */
export class Site {
  readonly lab: Lab;
  readonly client: Machine;
  readonly backEnds: readonly Machine[];
  /** The back-ends hold these VIPs without saying so, as direct return needs it. */
  private readonly roles: readonly RemoteForwarding[];

  private constructor(lab: Lab, roles: readonly RemoteForwarding[]) {
    this.lab = lab;
    this.client = lab.client;
    this.backEnds = lab.controlPlanes;
    this.roles = roles;
  }

  static async start(holders: number): Promise<Site> {
    const lab = await Lab.start({ controlPlanes: 3, workers: holders });
    try {
      const ports = Array.from({ length: holders }, (_, n) => target(lab, n));
      await Promise.all(
        [lab.client, ...lab.nodes].map((machine) => machine.run('sysctl', ['-qw', ...manyPorts])),
      );
      if (existsSync('/proc/sys/net/bridge')) await setSysctls(lab.plan.switchNamespace, unfiltered);
      const roles = await Promise.all(lab.controlPlanes.map((backEnd) => RemoteForwarding.start(backEnd)));
      const httpPorts = ports.map(({ port }) => port);
      await Promise.all(lab.controlPlanes.map((backEnd) => startNginx(backEnd, httpPorts)));
      await startIperf(
        lab.node(0),
        ports.map(({ bulkPort }) => bulkPort),
      );
      return new Site(lab, roles);
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  holder(n: number): Machine {
    const found = this.lab.workers[n];
    if (found === undefined) throw new RangeError(`there is no holder ${n}`);
    return found;
  }

  target(n: number): Target {
    return target(this.lab, n);
  }

  backEnd(n: number): Machine {
    return this.lab.node(n);
  }

  /** The back-ends answer for these VIPs and keep quiet about it. */
  async holdQuietly(vips: readonly Ip[]): Promise<void> {
    const specs = vips.map((vip) => ({ kind: 'real-server-role', vip, isListening: true }) as const);
    await Promise.all(this.roles.map((role) => role.set(specs)));
  }

  stop(): Promise<void> {
    return this.lab.stop();
  }
}

function target(lab: Lab, n: number): Target {
  return { address: lab.plan.vip(n), port: 8000 + n, bulkPort: 9000 + n };
}
