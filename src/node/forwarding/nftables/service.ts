import { familyOf, type Ip, type Mac } from '../../../lib/ip.ts';
import { hashedSlots, roundRobinSlots } from '../slots.ts';
import type { RealServer, Scheduler, VirtualServerSpec } from '../types.ts';
import type { L3 } from './expressions.ts';

/** Where a real server of a direct-return service is. */
export interface DirectServer {
  readonly server: RealServer;
  /** What stands for it in the flow memory. Never 0. */
  readonly mark: number;
  /** Undefined: not known yet. */
  readonly via: Mac | 'this node' | undefined;
}

export interface DirectPath {
  readonly link: string;
  readonly ifindex: number;
  readonly mac: Mac;
  /** All but the dead ones. */
  readonly servers: readonly DirectServer[];
}

/** A virtual server as its rules need it. */
export interface Service {
  readonly l3: L3;
  /** Name of its chains and maps. */
  readonly name: string;
  readonly vip: Ip;
  readonly port: number;
  readonly scheduler: Scheduler;
  readonly servers: readonly RealServer[];
  /** What translated packets get as their source when they leave this host. */
  readonly source: Ip;
  readonly direct: DirectPath | undefined;
  /**
   * Positions of the round that were in use at most. Those past its end lead to its first server: a packet
   * may have got its position from the rules of before the change.
   */
  readonly places: number;
}

export function l3Of(address: Ip): L3 {
  return familyOf(address) === 4 ? 'ip' : 'ip6';
}

/** As it is translated, with the VIP itself as the source. */
export function translated(spec: VirtualServerSpec): Service {
  const { vip, port, scheduler, realServers } = spec;
  return {
    l3: l3Of(vip),
    name: nameOf(spec),
    vip,
    port,
    scheduler,
    servers: realServers,
    source: vip,
    direct: undefined,
    places: 0,
  };
}

/** Colons are no part of a name in nft(8). */
export function nameOf({ vip, port }: Pick<VirtualServerSpec, 'vip' | 'port'>): string {
  return `vs_${port}_${vip.replaceAll(':', '_')}`;
}

/** The round of servers that take new connections, or the table that a client's hash is looked up in. */
export function slotsOf<T extends { readonly server: RealServer }>(
  scheduler: Scheduler,
  servers: readonly T[],
): readonly T[] {
  const weighted = servers
    .filter(({ server }) => server.state === 'active')
    .map((each) => ({ id: each.server.address, weight: each.server.weight, each }));
  const slots = isHashed(scheduler) ? hashedSlots(weighted) : roundRobinSlots(weighted);
  return slots.map(({ each }) => each);
}

/** Is somebody else known to serve whom this one refuses? */
export function canGoElsewhere({ servers }: Service, refusing: RealServer): boolean {
  return servers.some(
    ({ address, state, isProven = false }) => isProven && state === 'active' && address !== refusing.address,
  );
}

/** The same, whoever of those with new connections it is. */
export function canAllGoElsewhere(service: Service): boolean {
  return service.servers.every((server) => server.state !== 'active' || canGoElsewhere(service, server));
}

export function isHashed(scheduler: Scheduler): boolean {
  return scheduler === 'sh' || scheduler === 'mh';
}
