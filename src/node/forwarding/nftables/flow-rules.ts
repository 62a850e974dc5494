import type { NftChain, NftExpression, NftSet } from '../../../linux/index.ts';
import { hostU32 } from './data.ts';
import * as x from './expressions.ts';
import { canAllGoElsewhere, slotsOf, type DirectPath, type DirectServer, type Service } from './service.ts';
import { MAX_ELEMENTS, numberOfSlot, turnElements, turnsName } from './translation.ts';

/*
 * The memory is a map, client address . port ─► mark of the server. A SYN writes it and then reads it
 * like every other packet: `update` leaves the data of a key that is there, so a SYN that was sent
 * again goes to the same server. Every packet of a connection restarts its time. Its end leaves the last
 * packets a minute to find it, and puts the client into a set, by which three things are told apart:
 * the acknowledgements after the end, which must not restart the time; a port that is used again, whose
 * old server is forgotten first; and who is still connected, for whoever lists the map. To make an element
 * and to remove it is a twentieth of all that forwarding a connection costs, so that is for the first
 * thousand ends in a second. Past these a port used again keeps its old server, and a flow whose client
 * ended first is remembered as long as one that is quiet.
 * What is not in the map, because it is full or was not there when the connection began, goes on into
 * the host, where the translating rules take it: slower, and still right.
 */
export const FLOW_MS = 900_000;
export const OPENING_MS = 60_000;
const ENDED_MS = 60_000;
export const MAX_FLOWS = 262_144;
/** Ends in a second that are noted; for each service. */
const ENDS_PER_SECOND = 1000;
export const MAX_ENDED = 65_536;

export type DirectService = Service & { readonly direct: DirectPath };

/** `in_eth0`; what is no part of a name in nft(8) becomes `_`. */
export function linkName(prefix: string, link: string): string {
  return `${prefix}_${link.replaceAll(/[^A-Za-z0-9_.-]/g, '_')}`;
}

export function flowsName(service: Pick<Service, 'name'>): string {
  return `flows_${service.name}`;
}

export function endedName(service: Pick<Service, 'name'>): string {
  return `ended_${service.name}`;
}

function directSlots(direct: DirectPath, { scheduler }: Service): readonly DirectServer[] {
  return slotsOf(
    scheduler,
    direct.servers.filter(({ via }) => via !== undefined),
  );
}

/** What a service with a direct path remembers, and its turns. */
export function flowSets(service: DirectService): readonly NftSet[] {
  return [...memorySets(service), ...turnMap(service)];
}

/** Who is connected, and who has ended. */
export function memorySets(service: Pick<Service, 'name' | 'l3'>): readonly NftSet[] {
  return [flowMap(service), endedSet(service)];
}

/** From a packet to its server: the way of each that belongs to a flow, and of a SYN. */
export function flowChains(service: DirectService): readonly NftChain[] {
  return [...openingChains(service), serviceChain(service)];
}

function endedSet(service: Pick<Service, 'name' | 'l3'>): NftSet {
  return {
    name: endedName(service),
    keyType: [x.typeOf(service.l3), 'inet_service'],
    size: MAX_ENDED,
    dynamic: { timeoutMs: ENDED_MS },
    elements: [],
  };
}

function flowMap(service: Pick<Service, 'name' | 'l3'>): NftSet {
  return {
    ...endedSet(service),
    name: flowsName(service),
    dataType: 'mark',
    size: MAX_FLOWS,
    dynamic: { timeoutMs: FLOW_MS },
  };
}

/** Position in the round ─► mark of the server. */
function turnMap(service: DirectService): readonly NftSet[] {
  if (!hasSlots(service)) return [];
  const marks = directSlots(service.direct, service).map(({ mark }) => hostU32(mark));
  const elements = turnElements(marks, service.places);
  return [{ name: turnsName(service), keyType: 'mark', dataType: 'mark', size: MAX_ELEMENTS, elements }];
}

interface Parts {
  /** End the rule when this set does not have the client, or has it. */
  readonly isIn: (set: string) => readonly NftExpression[];
  readonly isNotIn: (set: string) => readonly NftExpression[];
  /** Ends the rule when this set does not know the client; otherwise its mark is the packet's. */
  readonly remembered: (set: string) => readonly NftExpression[];
  /** The mark of the packet, for the client in the registers. */
  readonly remember: (set: string, timeoutMs: number) => readonly NftExpression[];
  /** The client, in the registers, into or out of a set. */
  readonly note: (set: string, timeoutMs: number) => NftExpression;
  readonly strike: (set: string) => NftExpression;
  /** Removes the client, in the registers, from a map. The kernel wants some value beside it, and ignores it. */
  readonly forget: (set: string) => readonly NftExpression[];
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
    isIn: (set) => [...x.source(l3), { op: 'lookup', set, key: 0 }],
    isNotIn: (set) => [...x.source(l3), { op: 'no lookup', set, key: 0 }],
    note: (set, timeoutMs) => ({ op: 'update', set, key: 0, timeoutMs }),
    strike: (set) => ({ op: 'delete', set, key: 0 }),
    forget: (set) => [
      { op: 'meta', key: 'mark', to: mark },
      { op: 'delete', set, key: 0, data: mark },
    ],
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
  const { isIn, strike, forget, remembered, remember, send, isOurs } = partsOf(service);
  const ended = endedName(service);
  const again = x.rule('a port used again', isOurs, isIn(ended), [strike(ended)], forget(flowsName(service)));
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
    remembered(flowsName(service)),
    send,
  );
  return [
    { name: openingName(service), rules: [turn] },
    { name: notingName(service), rules: [again, note] },
  ];
}

function serviceChain(service: DirectService): NftChain {
  const { isNotIn, remembered, remember, note, send, isOurs } = partsOf(service);
  const flows = flowsName(service);
  const ended = endedName(service);
  const limit = { op: 'limit', perSecond: ENDS_PER_SECOND } as const;
  const toOpening = x.verdict({ goto: openingName(service) });
  const keepOn = [remembered(flows), remember(flows, FLOW_MS), send];
  return {
    name: service.name,
    rules: [
      x.rule('on its way', isOurs, x.isPushed, ...keepOn),
      x.rule('says nothing new', isOurs, x.isPlain, isNotIn(ended), ...keepOn),
      ...(hasSlots(service) ? [x.rule('a new connection', isOurs, x.isSyn, toOpening)] : []),
      x.rule('its last packets', isOurs, x.isPlain, remembered(flows), send),
      x.rule(
        'the end of one',
        isOurs,
        x.isClosing,
        remembered(flows),
        remember(flows, ENDED_MS),
        [limit, note(ended, ENDED_MS)],
        send,
      ),
      // It has the mark already.
      x.rule('the end of one that cannot be noted', isOurs, x.isClosing, send),
      x.rule('not ours after all', [
        { op: 'immediate', to: 0, value: hostU32(0) },
        { op: 'meta set', key: 'mark', from: 0 },
      ]),
    ],
  };
}
