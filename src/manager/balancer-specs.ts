import type { Balancer } from '../control-plane/index.ts';
import type { Ip } from '../lib/ip.ts';
import type { ForwardingSpec, ForwardingStatus } from '../node/index.ts';
import type { BalancerStatus } from '../observe/index.ts';
import type { Parts } from './parts.ts';

/** The servers of each VIP, as the balancer has chosen them. */
export type PerVip = Parameters<ConstructorParameters<typeof Balancer>[0]['apply']>[0];

/**
 * Those that have a server for new connections: without one they go to the API server of this node, as they would
 * without a balancer.
 */
export function balanced(servers: PerVip): PerVip {
  return new Map([...servers].filter(([, all]) => all.some(({ state }) => state === 'active')));
}

/** What the kernel of the holder is to do. */
export function virtualServers({ config, link }: Parts, servers: PerVip): ForwardingSpec[] {
  return [...balanced(servers)].map(([vip, realServers]) => ({
    kind: 'virtual-server',
    vip,
    port: config.loadBalancerPort,
    protocol: 'tcp',
    scheduler: config.lbScheduler,
    method: config.loadBalancerForwardingMethod,
    link: link.name,
    realServers: realServers.map((server) => ({ ...server, port: config.port })),
  }));
}

/** What the kernel of any other node is to do with direct return: answer its own clients, and what the holder sends. */
export function realServerRoles(vips: readonly Ip[], isListening: (vip: Ip) => boolean): ForwardingSpec[] {
  return vips.map((vip) => ({ kind: 'real-server-role', vip, isListening: isListening(vip) }));
}

/** The part of `/status` that is about balancing. */
export function report(
  port: number,
  { backend, reason, specs }: ForwardingStatus,
  balancer: Pick<Balancer, 'status' | 'unserved'>,
): BalancerStatus {
  const virtualServers = specs.flatMap(({ spec, state, notes }) => {
    if (spec.kind !== 'virtual-server') return [];
    const why = state.state === 'ready' ? {} : { reason: state.reason };
    return [{ vip: spec.vip, port: spec.port, state: state.state, ...why, notes }];
  });
  const idle = balancer.unserved().map((each) => ({ ...each, port, state: 'waiting', notes: [] }));
  return { backend, reason, virtualServers: [...virtualServers, ...idle], backends: balancer.status() };
}
