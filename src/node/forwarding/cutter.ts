import { messageOf } from '../../lib/errors.ts';
import type { Ip } from '../../lib/ip.ts';
import type { Timer } from '../../lib/clock.ts';
import type { ConnectionEnd, Conntrack } from '../../linux/index.ts';
import { specKey } from './balancer.ts';
import type { ForwardingKernel, Shared } from './ports.ts';
import { Resetter } from './resetter.ts';
import type { RealServer, VirtualServerSpec } from './types.ts';

/** A connection through a virtual server, as somebody in the kernel remembers it. */
export interface HeldConnection {
  readonly client: ConnectionEnd;
  readonly service: ConnectionEnd;
  /** Undefined: none that the virtual server has now. */
  readonly server: ConnectionEnd | undefined;
  /** Its client would wait for an answer that does not come. */
  readonly isEstablished: boolean;
  /** What its source needs to forget it. */
  readonly key?: string;
}

/** Who remembers connections. */
export interface Connections {
  of(spec: VirtualServerSpec): Promise<readonly HeldConnection[]>;
  /** Returns how many were forgotten. */
  forget(spec: VirtualServerSpec, connections: readonly HeldConnection[]): number | Promise<number>;
}

/** A packet that was on its way while the rules changed can bring an entry back. */
const againMs = 1000;

/**
 * Ends the connections that go to servers which a virtual server does not have, or that are dead. It
 * looks when servers went away, and once at the beginning: a predecessor may have died in between.
 */
export class Cutter {
  private readonly shared: Shared;
  private readonly resetter: Resetter;
  private readonly sources: readonly Connections[];
  private readonly specs = new Map<string, VirtualServerSpec>();
  /** By virtual server and delay: looking takes longer the more connections this node has. */
  private readonly timers = new Map<string, Timer>();

  constructor(
    ports: Pick<ForwardingKernel, 'conntrack' | 'rawIp'> & { readonly shared: Shared },
    sources: readonly Connections[],
  ) {
    const { conntrack, rawIp, shared } = ports;
    this.shared = shared;
    this.resetter = new Resetter({ conntrack, rawIp, clock: shared.clock });
    this.sources = [...sources, ...(conntrack === undefined ? [] : [trackedConnections(conntrack)])];
  }

  apply(specs: readonly VirtualServerSpec[]): void {
    const keys = new Set(specs.map(specKey));
    for (const key of this.specs.keys()) if (!keys.has(key)) this.specs.delete(key);
    for (const spec of specs) {
      const key = specKey(spec);
      const before = this.specs.get(key);
      this.specs.set(key, spec);
      if (
        before === undefined ||
        before.realServers.some((server) => isAlive(server) && !serves(spec, server))
      ) {
        this.cutSoon(key, 0);
        this.cutSoon(key, againMs);
      }
    }
  }

  close(): void {
    for (const timer of this.timers.values()) timer.cancel();
    this.resetter.close();
  }

  private cutSoon(key: string, ms: number): void {
    const name = `${key} ${ms}`;
    this.timers.get(name)?.cancel();
    const timer = this.shared.clock.after('cut connections', ms, () => {
      this.timers.delete(name);
      for (const source of this.sources) {
        this.cut(key, source).catch((error: unknown) => {
          this.shared.counters.failures++;
          this.shared.log.warn('connections to a dead server could not be cut', { error: messageOf(error) });
          this.shared.observer.failed?.('cut connections', error);
        });
      }
    });
    this.timers.set(name, timer);
  }

  private async cut(key: string, source: Connections): Promise<void> {
    const asked = this.specs.get(key);
    if (asked === undefined) return;
    const held = await source.of(asked);
    // What counts is the spec of now, not of when the dump began.
    const spec = this.specs.get(key);
    const dead = held.filter(({ server }) => spec !== undefined && !serves(spec, server));
    if (spec === undefined || dead.length === 0) return;
    const { counters, log, observer } = this.shared;
    counters.connectionsCut += await source.forget(spec, dead);
    for (const [server, count] of countByServer(dead)) {
      log.info('connections to a dead server were cut', { vip: spec.vip, server, connections: count });
      observer.cut?.(spec.vip, server, count);
    }
    const clients = dead.filter(({ isEstablished }) => isEstablished);
    counters.clientsReset += clients.length;
    await this.resetter.reset(clients);
  }
}

function isAlive({ state }: RealServer): boolean {
  return state !== 'dead';
}

function serves(spec: VirtualServerSpec, end: ConnectionEnd | undefined): boolean {
  return spec.realServers.some(
    (server) => isAlive(server) && server.address === end?.address && server.port === end.port,
  );
}

function countByServer(connections: readonly HeldConnection[]): ReadonlyMap<Ip, number> {
  const counts = new Map<Ip, number>();
  for (const { server, service } of connections) {
    const address = server?.address ?? service.address;
    counts.set(address, (counts.get(address) ?? 0) + 1);
  }
  return counts;
}

/** The connections that are translated: those that ended at the VIP itself are none of ours. */
function trackedConnections(conntrack: Conntrack): Connections {
  return {
    of: async ({ vip, port }) => {
      const tracked = await conntrack.connections({ address: vip, port });
      return tracked
        .filter(({ server }) => server.address !== vip)
        .map(({ client, service, server, state }) => ({
          client,
          service,
          server,
          isEstablished: state === 'established' || state === 'closing',
        }));
    },
    forget: (_, connections) => conntrack.remove(connections),
  };
}
