import type { NftChain, NftRule, NftSet, NftTable } from '../../../linux/index.ts';
import { hostU32, macHex } from './data.ts';
import * as x from './expressions.ts';
import { flowChains, flowSets, linkName, memorySets, type DirectService } from './flow-rules.ts';
import type { DirectPath, DirectServer, Service } from './service.ts';
import { gotoService, MAX_ELEMENTS, OWN_SERVER_PRIORITY, TABLE } from './translation.ts';

/*
 *   table netdev kube-vip-lb
 *     in_LINK             to this host, to a VIP's port ─► vs_PORT_VIP
 *     vs_PORT_VIP         the mark of the flow, from memory ─► servers_LINK
 *     new_PORT_VIP        for a SYN: whose turn it is; the only rule that changes with the servers
 *     note_PORT_VIP       remembers that ─► servers_LINK
 *     to_LINK_SERVER      its MAC address as destination, ours as source ─► out of the same link
 *
 * While another server would take it, a SYN is stamped: a server that has died tells nobody then (refusals.ts).
 * What the memory of flows keeps, and how long: flow-rules.ts.
 */

/**
 * The table that forwards for the services with a direct path, and remembers the flows of those that `left`;
 * undefined when there are none.
 */
export function directReturnTable(
  all: readonly Service[],
  left: readonly Service[] = [],
): NftTable | undefined {
  const services = all.filter(
    (service): service is DirectService =>
      service.direct?.servers.some(({ via }) => via !== undefined) ?? false,
  );
  if (services.length === 0 && left.length === 0) return undefined;
  const links = [...new Set(services.map(({ direct }) => direct.link))];
  return {
    family: 'netdev',
    name: TABLE,
    sets: [
      ...services.flatMap(flowSets),
      ...left.flatMap(memorySets),
      ...links.flatMap((link) =>
        linkSets(
          link,
          services.filter(({ direct }) => direct.link === link),
        ),
      ),
    ],
    chains: [
      ...links.flatMap((link) =>
        linkChains(
          link,
          services.filter(({ direct }) => direct.link === link),
        ),
      ),
      ...services.flatMap(flowChains),
    ],
  };
}

function linkSets(link: string, services: readonly DirectService[]): readonly NftSet[] {
  const families = (['ip', 'ip6'] as const).filter((l3) => services.some((service) => service.l3 === l3));
  return [
    ...families.map((l3): NftSet => ({
      name: linkName(l3 === 'ip' ? 'services4' : 'services6', link),
      keyType: [x.typeOf(l3), 'inet_service'],
      dataType: 'verdict',
      size: MAX_ELEMENTS,
      elements: services.filter((service) => service.l3 === l3).map(gotoService),
    })),
    {
      name: linkName('servers', link),
      keyType: 'mark',
      dataType: 'verdict',
      size: MAX_ELEMENTS,
      elements: reachable(services).map(({ mark, server }) => ({
        key: hostU32(mark),
        data: { verdict: { goto: serverChainName(link, server.address) } },
      })),
    },
  ];
}

/** Each server once, though it may serve several VIPs. */
function reachable(services: readonly DirectService[]): readonly DirectServer[] {
  const byMark = new Map<number, DirectServer>();
  for (const { direct } of services)
    for (const server of direct.servers) if (server.via !== undefined) byMark.set(server.mark, server);
  return [...byMark.values()];
}

function serverChainName(link: string, address: string): string {
  return `${linkName('to', link)}_${address.replaceAll(':', '_')}`;
}

function linkChains(link: string, services: readonly DirectService[]): readonly NftChain[] {
  const dispatch = (['ip', 'ip6'] as const).flatMap((l3): NftRule[] => {
    if (!services.some((service) => service.l3 === l3)) return [];
    const set = linkName(l3 === 'ip' ? 'services4' : 'services6', link);
    const lookup = { op: 'lookup', set, key: 0, to: 'verdict' } as const;
    return [x.rule('to a VIP', x.isProtocol(l3), x.isTcp, x.isForUs, x.destination(l3), [lookup])];
  });
  const direct = services[0]?.direct;
  return [
    {
      name: linkName('in', link),
      base: { type: 'filter', hook: 'ingress', priority: 0, device: link },
      rules: dispatch,
    },
    ...reachable(services).map(({ server, via }): NftChain => ({
      name: serverChainName(link, server.address),
      rules: [via === 'this node' ? toOwnServer : toNeighbour(direct, via)].flatMap((each) => each ?? []),
    })),
  ];
}

const toOwnServer = x.rule('the server on this node', [
  { op: 'immediate', to: 0, value: hostU32(0) },
  { op: 'meta set', key: 'mark', from: 0 },
  { op: 'immediate', to: 0, value: hostU32(OWN_SERVER_PRIORITY) },
  { op: 'meta set', key: 'priority', from: 0 },
  { op: 'verdict', verdict: 'accept' },
]);

function toNeighbour(direct: DirectPath | undefined, mac: DirectServer['via']): NftRule | undefined {
  if (direct === undefined || mac === undefined || mac === 'this node') return undefined;
  // Our own source address: otherwise the switch learns the client's on this port.
  return x.rule(mac, [
    { op: 'immediate', to: 0, value: macHex(mac) },
    { op: 'payload write', base: 'link', offset: 0, length: 6, from: 0 },
    { op: 'immediate', to: 0, value: macHex(direct.mac) },
    { op: 'payload write', base: 'link', offset: 6, length: 6, from: 0 },
    { op: 'immediate', to: 0, value: hostU32(direct.ifindex) },
    { op: 'fwd', device: 0 },
  ]);
}
