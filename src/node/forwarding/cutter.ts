import { messageOf } from '../../lib/errors.ts';
import type { Ip } from '../../lib/ip.ts';
import type { ConnectionEnd, Conntrack } from '../../linux/index.ts';
import { specKey } from './balancer.ts';
import { Due } from './due.ts';
import { Farewell } from './farewell.ts';
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
  /** It has ended: forgotten like the others, and nobody is told. */
  readonly hasEnded?: boolean;
  /** What its source needs to forget it. */
  readonly key?: string;
}

/** Who remembers connections. */
export interface Connections {
  of(specs: readonly VirtualServerSpec[]): Promise<readonly HeldConnection[]>;
  /** Returns how many were forgotten. */
  forget(spec: VirtualServerSpec, connections: readonly HeldConnection[]): number | Promise<number>;
}

/** A packet that was on its way while the rules changed can bring an entry back. */
const againMs = 1000;

/**
 * Ends the connections that go to servers which a virtual server does not have, or that are dead. It
 * looks when servers went away, and once at the beginning: a predecessor may have died in between. The clients of
 * a virtual server that goes as a whole are told by `Farewell`.
 */
export class Cutter {
  private readonly shared: Shared;
  private readonly resetter: Resetter;
  private readonly sources: readonly Connections[];
  private readonly specs = new Map<string, VirtualServerSpec>();
  /** Virtual servers whose connections will be looked at. */
  private readonly soon: Due;
  private readonly again: Due;
  private readonly farewell: Farewell;

  /** `haveRead`: those connected to virtual servers that are not wanted any more have been read. */
  constructor(
    ports: Pick<ForwardingKernel, 'conntrack' | 'rawIp'> & { readonly shared: Shared },
    sources: readonly Connections[],
    haveRead: () => void = () => undefined,
  ) {
    const { conntrack, rawIp, shared } = ports;
    this.shared = shared;
    this.resetter = new Resetter({ conntrack, rawIp, clock: shared.clock });
    this.sources = [...sources, ...(conntrack === undefined ? [] : [trackedConnections(conntrack)])];
    this.farewell = new Farewell({
      shared,
      sources: this.sources,
      resetter: this.resetter,
      isBack: (key) => this.specs.has(key),
      haveRead,
    });
    const look = (keys: readonly string[]): void => this.look(keys);
    this.soon = new Due(shared.clock, 'cut connections', 0, look);
    this.again = new Due(shared.clock, 'cut connections again', againMs, look);
  }

  apply(specs: readonly VirtualServerSpec[]): void {
    const keys = new Set(specs.map(specKey));
    const gone = [...this.specs].filter(([key]) => !keys.has(key));
    for (const [key] of gone) this.specs.delete(key);
    if (gone.length > 0) this.farewell.to(gone.map(([, spec]) => spec));
    for (const spec of specs) {
      const key = specKey(spec);
      const before = this.specs.get(key);
      this.specs.set(key, spec);
      if (
        before === undefined ||
        before.realServers.some((server) => isAlive(server) && !serves(spec, server))
      ) {
        this.soon.add(key);
        this.again.add(key);
      }
    }
  }

  /** Resolves when the clients of all that has gone have been told. */
  told(): Promise<void> {
    return this.farewell.told();
  }

  close(): void {
    this.farewell.close();
    this.soon.close();
    this.again.close();
    this.resetter.close();
  }

  private look(keys: readonly string[]): void {
    for (const source of this.sources) {
      this.cutAll(keys, source).catch((error: unknown) => {
        this.shared.counters.failures++;
        this.shared.log.warn('connections to a dead server could not be cut', { error: messageOf(error) });
        this.shared.observer.failed?.('cut connections', error);
      });
    }
  }

  /** Looks once for all of them: a look takes as long as there are connections on this node, of whomever. */
  private async cutAll(keys: readonly string[], source: Connections): Promise<void> {
    const asked = keys.flatMap((key) => this.specs.get(key) ?? []);
    if (asked.length === 0) return;
    const held = Map.groupBy(await source.of(asked), ({ service: { address, port } }) =>
      specKey({ vip: address, port }),
    );
    await Promise.all(Array.from(held, ([key, connections]) => this.cut(key, connections, source)));
  }

  private async cut(key: string, held: readonly HeldConnection[], source: Connections): Promise<void> {
    // What counts is the spec of now, not of when the dump began.
    const spec = this.specs.get(key);
    const lost = held.filter(({ server }) => spec !== undefined && !serves(spec, server));
    if (spec === undefined || lost.length === 0) return;
    const ended = lost.filter(({ hasEnded }) => hasEnded === true);
    if (ended.length > 0) await source.forget(spec, ended);
    const dead = lost.filter(({ hasEnded }) => hasEnded !== true);
    if (dead.length === 0) return;
    const { counters, log, observer } = this.shared;
    // Not in one expression: others count while this one waits.
    const forgotten = await source.forget(spec, dead);
    counters.connectionsCut += forgotten;
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
    of: async (specs) => {
      const tracked = await conntrack.connections(specs.map(({ vip, port }) => ({ address: vip, port })));
      return tracked
        .filter(({ server, service }) => server.address !== service.address)
        .map(({ client, service, server, state, id }) => ({
          client,
          service,
          server,
          ...(id === undefined ? {} : { key: String(id) }),
          isEstablished: state === 'established' || state === 'closing',
        }));
    },
    // Since they were listed clients may have opened others from the same ports, which went to other servers.
    forget: (_, connections) =>
      conntrack.remove(
        connections.map(({ client, service, key }) =>
          key === undefined ? { client, service } : { client, service, id: Number(key) },
        ),
      ),
  };
}
