import type { Ipvs } from '../../../linux/index.ts';
import { specKey } from '../balancer.ts';
import type { Connections, HeldConnection } from '../cutter.ts';
import type { VirtualServerSpec } from '../types.ts';

/**
 * The connections that IPVS holds. The kernel ends those of a removed destination by itself, one tick
 * later (`expire_nodest_conn`) and without telling the clients; so whoever removes one has them
 * remembered before, for the cutter that looks afterwards.
 */
export class IpvsConnections implements Connections {
  private readonly ipvs: Ipvs;
  private readonly doomed = new Map<string, readonly HeldConnection[]>();

  constructor(ipvs: Ipvs) {
    this.ipvs = ipvs;
  }

  /** To be called before destinations of these virtual servers are removed. */
  remember(specs: readonly VirtualServerSpec[]): void {
    if (specs.length === 0) return;
    const all = this.connections();
    for (const spec of specs) {
      const before = this.doomed.get(specKey(spec)) ?? [];
      this.doomed.set(specKey(spec), united(before, belongingTo(spec, all)));
    }
  }

  of(specs: readonly VirtualServerSpec[]): Promise<readonly HeldConnection[]> {
    const all = this.connections();
    const found = specs.flatMap((spec) => {
      const remembered = this.doomed.get(specKey(spec)) ?? [];
      this.doomed.delete(specKey(spec));
      return united(remembered, belongingTo(spec, all));
    });
    return Promise.resolve(found);
  }

  /** Done by the kernel. */
  forget(_: VirtualServerSpec, connections: readonly HeldConnection[]): number {
    return connections.length;
  }

  private connections(): readonly HeldConnection[] {
    return this.ipvs.connections().map(({ client, service, server, state }) => ({
      client,
      service,
      server,
      isEstablished: state === 'established' || state === 'closing',
    }));
  }
}

function belongingTo(
  { vip, port }: VirtualServerSpec,
  connections: readonly HeldConnection[],
): readonly HeldConnection[] {
  return connections.filter(({ service }) => service.address === vip && service.port === port);
}

function united(
  some: readonly HeldConnection[],
  others: readonly HeldConnection[],
): readonly HeldConnection[] {
  return [...new Map([...some, ...others].map((each) => [nameOf(each), each])).values()];
}

function nameOf({ client, server }: HeldConnection): string {
  return `${client.address} ${client.port} ${server?.address ?? ''} ${server?.port ?? ''}`;
}
