import type { NftChain, NftExpression, NftRule, NftSet, NftTable } from '../../../linux/index.ts';
import { hostU32, macHex } from './data.ts';
import * as x from './expressions.ts';
import { canAllGoElsewhere, slotsOf, type DirectPath, type DirectServer, type Service } from './service.ts';
import {
  gotoService,
  MAX_ELEMENTS,
  numberOfSlot,
  OWN_SERVER_PRIORITY,
  TABLE,
  turnElements,
  turnsName,
} from './translation.ts';

/*
 *   table netdev kube-vip-lb
 *     in_LINK             to this host, to a VIP's port ─► vs_PORT_VIP
 *     vs_PORT_VIP         the mark of the flow, from memory ─► servers_LINK
 *     new_PORT_VIP        for a SYN: whose turn it is; the only rule that changes with the servers
 *     note_PORT_VIP       remembers that ─► servers_LINK
 *     to_LINK_SERVER      its MAC address as destination, ours as source ─► out of the same link
 *
 * While another server would take it, a SYN is stamped: a server that has died tells nobody then (refusals.ts).
 *
 * The memory is a map, client address . port ─► mark of the server. A SYN writes it and then reads it
 * like every other packet: `update` leaves the data of a key that is there, so a SYN that was sent
 * again goes to the same server. Every packet of a connection restarts its time, and its end moves the
 * flow to the second map, where the last packets find it for a minute, unless the client uses its port
 * again. What is in neither map, or in
 * no hurry to be found because the map is full, goes on into the host, where the translating rules
 * take it: slower, and still right.
 */
export const FLOW_MS = 900_000;
export const OPENING_MS = 60_000;
const CLOSING_MS = 60_000;
export const MAX_FLOWS = 262_144;

/** `in_eth0`; what is no part of a name in nft(8) becomes `_`. */
function linkName(prefix: string, link: string): string {
  return `${prefix}_${link.replaceAll(/[^A-Za-z0-9_.-]/g, '_')}`;
}

export function flowsName(service: Pick<Service, 'name'>): string {
  return `flows_${service.name}`;
}

export function closingName(service: Pick<Service, 'name'>): string {
  return `closing_${service.name}`;
}

type DirectService = Service & { readonly direct: DirectPath };

/** The table that forwards for the services with a direct path; undefined when there are none. */
export function directReturnTable(all: readonly Service[]): NftTable | undefined {
  const services = all.filter(
    (service): service is DirectService =>
      service.direct?.servers.some(({ via }) => via !== undefined) ?? false,
  );
  if (services.length === 0) return undefined;
  const links = [...new Set(services.map(({ direct }) => direct.link))];
  return {
    family: 'netdev',
    name: TABLE,
    sets: [
      ...services.flatMap((service) => [
        flowMap(service, flowsName, FLOW_MS),
        flowMap(service, closingName, CLOSING_MS),
        ...turnMap(service),
      ]),
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
      ...services.flatMap((service) => [...openingChains(service), serviceChain(service)]),
    ],
  };
}

function directSlots(direct: DirectPath, { scheduler }: Service): readonly DirectServer[] {
  return slotsOf(
    scheduler,
    direct.servers.filter(({ via }) => via !== undefined),
  );
}

function flowMap(service: DirectService, name: (service: Service) => string, timeoutMs: number): NftSet {
  return {
    name: name(service),
    keyType: [x.typeOf(service.l3), 'inet_service'],
    dataType: 'mark',
    size: MAX_FLOWS,
    dynamic: { timeoutMs },
    elements: [],
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

interface Parts {
  /** Ends the rule when this set does not know the client; otherwise its mark is the packet's. */
  readonly remembered: (set: string) => readonly NftExpression[];
  /** The mark of the packet, for the client in the registers. */
  readonly remember: (set: string, timeoutMs: number) => readonly NftExpression[];
  readonly forget: (set: string) => NftExpression;
  readonly send: readonly NftExpression[];
  /** Known already; said again, nft(8) can load what it has printed. */
  readonly isOurs: readonly NftExpression[];
}

/** Where the mark is while the key of the flow is in the registers before it. */
function markRegister(l3: x.L3): number {
  return x.wordsOf(l3) + 1;
}

function partsOf({ l3, direct }: DirectService): Parts {
  const mark = markRegister(l3);
  return {
    remembered: (set) => [
      ...x.source(l3),
      { op: 'lookup', set, key: 0, to: mark },
      { op: 'meta set', key: 'mark', from: mark },
    ],
    remember: (set, timeoutMs) => [
      { op: 'meta', key: 'mark', to: mark },
      { op: 'update', set, key: 0, data: mark, timeoutMs },
    ],
    forget: (set) => ({ op: 'delete', set, key: 0, data: mark }),
    send: [
      { op: 'meta', key: 'mark', to: 0 },
      { op: 'lookup', set: linkName('servers', direct.link), key: 0, to: 'verdict' },
    ],
    isOurs: [...x.isProtocol(l3), ...x.isTcp],
  };
}

function openingName({ name }: Service): string {
  return name.replace(/^vs_/, 'new_');
}

function notingName({ name }: Service): string {
  return name.replace(/^vs_/, 'note_');
}

function hasSlots(service: DirectService): boolean {
  return directSlots(service.direct, service).length > 0;
}

/** Where a SYN gets its server; none without one that takes new connections. */
function openingChains(service: DirectService): readonly NftChain[] {
  if (!hasSlots(service)) return [];
  const { remembered, remember, forget, send, isOurs } = partsOf(service);
  // The number goes through the mark, for which nft(8) has a type: it has none for that of a named map of numbers.
  const turn = x.rule(
    'whose turn it is',
    numberOfSlot(service, directSlots(service.direct, service).length, 0),
    [
      { op: 'meta set', key: 'mark', from: 0 },
      { op: 'meta', key: 'mark', to: 0 },
      { op: 'lookup', set: turnsName(service), key: 0, to: 0 },
      { op: 'meta set', key: 'mark', from: 0 },
    ],
    x.verdict({ goto: notingName(service) }),
  );
  const note = x.rule(
    'a new connection',
    isOurs,
    canAllGoElsewhere(service) ? x.putStamp(service.l3) : [],
    x.source(service.l3),
    remember(flowsName(service), OPENING_MS),
    [forget(closingName(service))],
    remembered(flowsName(service)),
    send,
  );
  return [
    { name: openingName(service), rules: [turn] },
    { name: notingName(service), rules: [note] },
  ];
}

/** Position in the round ─► mark of the server. */
function turnMap(service: DirectService): readonly NftSet[] {
  if (!hasSlots(service)) return [];
  const marks = directSlots(service.direct, service).map(({ mark }) => hostU32(mark));
  const elements = turnElements(marks, service.places);
  return [{ name: turnsName(service), keyType: 'mark', dataType: 'mark', size: MAX_ELEMENTS, elements }];
}

function serviceChain(service: DirectService): NftChain {
  const { remembered, remember, forget, send, isOurs } = partsOf(service);
  const flows = flowsName(service);
  const closing = closingName(service);
  return {
    name: service.name,
    rules: [
      x.rule('on its way', isOurs, x.isPlain, remembered(flows), remember(flows, FLOW_MS), send),
      ...(hasSlots(service)
        ? [x.rule('a new connection', isOurs, x.isSyn, x.verdict({ goto: openingName(service) }))]
        : []),
      x.rule(
        'the end of one',
        isOurs,
        x.isClosing,
        remembered(flows),
        remember(closing, CLOSING_MS),
        [forget(flows)],
        send,
      ),
      x.rule('the end of one when no more can be noted', isOurs, x.isClosing, remembered(flows), send),
      x.rule('its last packets', isOurs, remembered(closing), send),
      x.rule('not ours after all', [
        { op: 'immediate', to: 0, value: hostU32(0) },
        { op: 'meta set', key: 'mark', from: 0 },
      ]),
    ],
  };
}
