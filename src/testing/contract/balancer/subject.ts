import type { Ip } from '../../../lib/ip.ts';
import type { Forwarding, ForwardingMethod, VirtualServerSpec } from '../../../node/forwarding/index.ts';

/** Where a client of a VIP can be. */
export type Place = 'client' | 'holder' | 'server1' | 'server2' | 'server3';

/** A TCP connection of a client; the server has said its name. */
export interface ClientConnection {
  readonly server: string;
  /** Sends a line and waits for it to come back; false when the connection ends instead. */
  echo(): Promise<boolean>;
  /** How it ended: an error code such as ECONNRESET, or `end`. Resolves when it has. */
  readonly ended: Promise<string>;
  close(): void;
}

/**
 * A client, the holder of the VIPs and three servers, `server1` to `server3`, on one link. Each server
 * says its name on ports 6443 and 443 of its own addresses. `Forwarding` runs on the holder; servers and
 * VIPs are the same for all tests of a subject, every test has a fresh `Forwarding`.
 */
export interface BalancerSubject {
  readonly method: ForwardingMethod;
  readonly link: string;
  /** The n-th VIP, which the holder has on its link. */
  vip(n: number, family: 4 | 6): Ip;
  address(server: 1 | 2 | 3, family: 4 | 6): Ip;
  readonly forwarding: Forwarding;
  /** The server's process dies: its kernel resets its connections, and refuses new ones until it is started again. */
  stopServer(server: 1 | 2 | 3): Promise<void>;
  startServer(server: 1 | 2 | 3): void;
  /** The program dies and another one starts: nothing is taken back. */
  restart(): Promise<Forwarding>;
  connect(from: Place, to: Ip, port: number): Promise<ClientConnection>;
  /** The server is cut off from the link without a word, and comes back. */
  unplug(server: 1 | 2 | 3): void;
  plugIn(server: 1 | 2 | 3): void;
  /** Somebody else removes what we have in the kernel. */
  removeBehindOurBack(): void;
  /** What an independent judge finds of us in the kernel. */
  traces(): readonly string[];
  /** Waits until the condition holds; fails after a few seconds. */
  until(what: string, condition: () => boolean | Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

/** What a way to balance can do. */
export interface BalancerAbilities {
  readonly name: string;
  /** A VIP's port can be another than the servers'. */
  readonly translatesPorts: boolean;
  /** Clients on the holder are spread as well. */
  readonly balancesLocalClients: boolean;
  /** A client on a server's own node reaches every server, not only its own. */
  readonly balancesServersClients: boolean;
  /** Weights count with the scheduler rr too. */
  readonly weightsOfRoundRobin: boolean;
  /** lc and wlc look at how many connections each server has. */
  readonly countsConnections?: boolean;
  /** While others serve, no client hears that a server refuses it. */
  readonly hidesRefusals?: boolean;
}

export type OpenBalancer = () => Promise<BalancerSubject>;

type Change = Partial<Omit<VirtualServerSpec, 'kind' | 'vip'>>;

/** VIP:6443 over all three servers, weight 1, round robin. */
export function virtualServer(subject: BalancerSubject, vip: Ip, change: Change = {}): VirtualServerSpec {
  const family = vip.includes(':') ? 6 : 4;
  const numbers = [1, 2, 3] as const;
  return {
    kind: 'virtual-server',
    vip,
    port: 6443,
    protocol: 'tcp',
    scheduler: 'rr',
    method: subject.method,
    link: subject.link,
    realServers: numbers.map((n) => ({
      address: subject.address(n, family),
      port: 6443,
      weight: 1,
      state: 'active',
      isProven: true,
    })),
    ...change,
  };
}

/** The same with one server in another state. */
export function withState(
  spec: VirtualServerSpec,
  server: 1 | 2 | 3,
  state: VirtualServerSpec['realServers'][number]['state'],
): VirtualServerSpec {
  return {
    ...spec,
    realServers: spec.realServers.map((each, i) => (i === server - 1 ? { ...each, state } : each)),
  };
}
