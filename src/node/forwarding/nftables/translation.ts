import type {
  Hex,
  NftChain,
  NftElement,
  NftExpression,
  NftRule,
  NftSet,
  NftTable,
  Register,
} from '../../../linux/index.ts';
import { addressHex, endpointHex, hostU32 } from './data.ts';
import * as x from './expressions.ts';
import { refusalChains, refusalSet } from './refusals.ts';
import { isHashed, slotsOf, type Service } from './service.ts';
import type { L3 } from './expressions.ts';

/** Every table of this program has this name, in whatever family. */
export const TABLE = 'kube-vip-lb';
/** Named sets hold one element for each virtual or real server. */
export const MAX_ELEMENTS = 1024;
/** The same on all nodes, so that a client's hash leads to the same server after the VIP has moved. */
const HASH_SEED = 0x6b76_6970;

/**
 * skb->priority of a packet that direct return has given to this host's own server: the rules here
 * must let it through as it is. Nothing else looks at the priority of a received packet.
 */
export const OWN_SERVER_PRIORITY = 0x6b76_0001;

/*
 *   table ip kube-vip-lb                                                  (and the same for ip6)
 *     prerouting, output   SYN to a VIP's port ─► vs_PORT_VIP ─► dnat to the server whose turn it is
 *     postrouting          leaves this host    ─► snat to the VIP itself
 *     input                anything else of an unknown connection to a VIP's port ─► reset
 *     refusals             a server refuses a connection while others serve ─► knock_again
 *     own_refusals         so does the server on this node
 *
 * Before -100 and 100: a NAT rule of somebody else for the same port comes too late. Only SYNs are
 * translated: packets in the middle of a connection that nobody here knows are answered with a reset
 * (or, by a chain that comes before `input`, handed to the node that does know them). The source
 * becomes the VIP and not the node's address, so that replies follow the VIP when it moves. Refusals: see refusals.ts.
 */
export const DNAT_PRIORITY = -110;
export const SNAT_PRIORITY = 90;
/** NF_IP_PRI_MANGLE: after connection tracking, before translation. */
const FILTER_PRIORITY = -150;

/** The table that translates for these services of one family; undefined when there are none. */
export function translationTable(l3: L3, all: readonly Service[]): NftTable | undefined {
  const services = all.filter((service) => service.l3 === l3);
  if (services.length === 0) return undefined;
  const withServers = services.filter((service) => translatedSlots(service).length > 0);
  const passOwn = services.some(({ direct }) => direct !== undefined)
    ? [x.rule('already given to the server on this node', isForOwnServer, x.verdict('accept'))]
    : [];
  const balance = balanceRule(l3);
  return {
    family: l3,
    name: TABLE,
    sets: [
      { ...named('vips', l3), elements: services.map(({ vip, port }) => ({ key: endpointHex(vip, port) })) },
      {
        ...named('services', l3),
        dataType: 'verdict',
        elements: withServers.map((service) => gotoService(service)),
      },
      {
        ...named('sources', l3),
        dataType: x.typeOf(l3),
        elements: services.map(({ vip, port, source }) => ({
          key: endpointHex(vip, port),
          data: addressHex(source),
        })),
      },
      refusalSet(l3, services),
      ...withServers.map(turnSet),
    ],
    chains: [
      base('prerouting', 'nat', DNAT_PRIORITY, [...passOwn, balance]),
      base('output', 'nat', DNAT_PRIORITY, [balance]),
      base('postrouting', 'nat', SNAT_PRIORITY, [
        x.rule(
          'replies must come back here',
          x.leavesTheHost,
          x.isTranslated,
          x.isTcp,
          x.originalDestination(l3),
          [
            { op: 'lookup', set: 'sources', key: 0, to: 0 },
            { op: 'snat', family: l3, address: 0 },
          ],
        ),
      ]),
      base('input', 'filter', FILTER_PRIORITY, [
        ...passOwn,
        x.rule('nobody here knows this connection', x.isTcp, x.destination(l3), [
          { op: 'lookup', set: 'vips', key: 0 },
          ...x.isUnknown,
          { op: 'reject with tcp reset' },
        ]),
      ]),
      ...refusalChains(l3),
      ...withServers.map(serviceChain),
    ],
  };
}

export function balanceRule(l3: L3): NftRule {
  return x.rule('new connections to a VIP', x.isTcp, x.isSyn, x.destination(l3), [
    { op: 'lookup', set: 'services', key: 0, to: 'verdict' },
  ]);
}

const isForOwnServer: readonly NftExpression[] = [
  { op: 'meta', key: 'priority', to: 0 },
  { op: 'cmp', register: 0, is: '==', value: hostU32(OWN_SERVER_PRIORITY) },
];

function named(name: string, l3: L3): Pick<NftSet, 'name' | 'keyType' | 'size'> {
  return { name, keyType: [x.typeOf(l3), 'inet_service'], size: MAX_ELEMENTS };
}

function base(
  hook: 'prerouting' | 'output' | 'postrouting' | 'input',
  type: 'nat' | 'filter',
  priority: number,
  rules: NftChain['rules'],
): NftChain {
  return { name: hook, base: { type, hook, priority }, rules };
}

export function gotoService({ vip, port, name }: Service): NftElement {
  return { key: endpointHex(vip, port), data: { verdict: { goto: name } } };
}

export function translatedSlots({
  scheduler,
  servers,
}: Service): readonly { readonly server: Service['servers'][number] }[] {
  return slotsOf(
    scheduler,
    servers.map((server) => ({ server })),
  );
}

/**
 * The chain that translates to the server whose turn it is; `turnSet` is its map. That it is TCP is known already;
 * said again, nft(8) can load what it has printed.
 */
export function serviceChain(service: Service): NftChain {
  const { l3, name, vip, port } = service;
  const choose = numberOfSlot(service, translatedSlots(service).length, 0);
  const server = { op: 'lookup', set: turnsName(service), key: 0, to: 0 } as const;
  const translate = { op: 'dnat', family: l3, address: 0, port: x.wordsOf(l3) } as const;
  return { name, rules: [x.rule(`${vip} port ${port}`, x.isTcp, choose, [server, translate])] };
}

/** Position in the round, or in the table of hashes ─► address . port of the server. */
export function turnSet(service: Service): NftSet {
  const slots = translatedSlots(service).map(({ server }) => endpointHex(server.address, server.port));
  return {
    name: turnsName(service),
    keyType: 'turn',
    dataType: [x.typeOf(service.l3), 'inet_service'],
    size: MAX_ELEMENTS,
    elements: turnElements(slots, service.places),
  };
}

export function turnsName({ name }: Service): string {
  return `turns_${name}`;
}

/**
 * Each position with its server's data. A named map, of which a change of servers touches what differs: with
 * many servers and VIPs that is a fraction of the work of new ones. Positions past the end of the round, up to
 * `places`, lead to its first server: a packet may have its position from the rules of before the change.
 */
export function turnElements(slots: readonly Hex[], places: number): readonly NftElement[] {
  const [first] = slots;
  if (first === undefined) return [];
  return Array.from({ length: Math.max(slots.length, places) }, (_, position) => ({
    key: hostU32(position),
    data: slots[position] ?? first,
  }));
}

/** The number of the slot, of so many, whose turn it is, or that the client's hash says. */
export function numberOfSlot(
  { l3, scheduler }: Service,
  modulus: number,
  to: Register,
): readonly NftExpression[] {
  if (!isHashed(scheduler)) return [{ op: 'numgen inc', modulus, to }];
  const length = x.wordsOf(l3) * 4;
  return [...x.sourceAddress(l3, to), { op: 'jhash', from: to, length, modulus, seed: HASH_SEED, to }];
}
