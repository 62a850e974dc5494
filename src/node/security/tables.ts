import { createHash } from 'node:crypto';
import { familyOf, formatPrefix, ipToBytes, type Ip, type Prefix } from '../../lib/ip.ts';
import type { NftChain, NftElement, NftExpression, NftRule, NftTable } from '../../linux/index.ts';
import { addressHex, hexOf, linkNameHex, portHex } from '../forwarding/nftables/data.ts';
import * as x from '../forwarding/nftables/expressions.ts';
import type { L3 } from '../forwarding/nftables/expressions.ts';
import type { GuardedPort } from '../types.ts';

/*
 *   table ip kube-vip-guard                                               (and the same for ip6)
 *     prerouting   to a guarded VIP ─► guard
 *     guard        answers, errors of known connections, neighbour discovery, DHCP   ─► accept
 *                  VIP . protocol . port is one of the Service's                     ─► accept, or ─► from_…
 *                  to a VIP that nobody wants open                                   ─► drop
 *     from_…       one of the source ranges                                          ─► accept
 *                  anything else                                                     ─► drop
 *
 * Before destinations are translated (-100 and our own -110), because afterwards a packet for a Service
 * no longer bears the VIP: a filter in `input` sees only what kube-proxy did not want.
 */
export const GUARD_PRIORITY = -150;

/** What all owners of one VIP let in together. */
export interface GuardedVip {
  readonly vip: Ip;
  readonly ports: readonly GuardedPort[];
  /** Some owner does not want the rest dropped. */
  readonly isOpen: boolean;
}

/** What of a table is about one VIP; the same object as long as the VIP is guarded in the same way. */
export interface GuardElements {
  readonly l3: L3;
  readonly key: NftElement;
  readonly isOpen: boolean;
  readonly ports: readonly NftElement[];
  readonly chains: readonly NftChain[];
}

export function guardElements({ vip, ports, isOpen }: GuardedVip): GuardElements {
  const l3: L3 = familyOf(vip) === 4 ? 'ip' : 'ip6';
  const chains = new Map<string, NftChain>();
  const elements = ports.map(({ protocol, port, sources }): NftElement => {
    const number = x.protocolNumber[protocol].toString(16).padStart(2, '0');
    const key = `${addressHex(vip)}${number}000000${portHex(port)}0000`;
    if (sources === undefined) return { key, data: { verdict: 'accept' } };
    const chain = sourcesChain(l3, sources);
    chains.set(chain.name, chain);
    return { key, data: { verdict: { goto: chain.name } } };
  });
  return { l3, key: { key: addressHex(vip) }, isOpen, ports: elements, chains: [...chains.values()] };
}

/** The table of one family. `others`: chains that are there besides those of the elements. */
export function guardTable(
  l3: L3,
  name: string,
  all: readonly GuardElements[],
  others: readonly NftChain[] = [],
): NftTable {
  const guarded = all.filter((each) => each.l3 === l3);
  const closed = guarded.filter(({ isOpen }) => !isOpen);
  const own = guarded.flatMap((each) => each.chains);
  const chains = new Map([...others, ...own].map((chain) => [chain.name, chain]));
  const address = x.typeOf(l3);
  return {
    family: l3,
    name,
    sets: [
      { name: 'vips', keyType: address, elements: guarded.map(({ key }) => key) },
      { name: 'closed', keyType: address, elements: closed.map(({ key }) => key) },
      {
        name: 'ports',
        keyType: [address, 'inet_proto', 'inet_service'],
        dataType: 'verdict',
        elements: guarded.flatMap(({ ports }) => ports),
      },
    ],
    chains: [
      {
        name: 'prerouting',
        base: { type: 'filter', hook: 'prerouting', priority: GUARD_PRIORITY },
        rules: [x.rule('to a guarded VIP', toVip(l3), isIn('vips'), x.verdict({ goto: 'guard' }))],
      },
      { name: 'guard', rules: guardRules(l3) },
      ...chains.values(),
    ],
  };
}

function guardRules(l3: L3): readonly NftRule[] {
  const icmp = l3 === 'ip' ? 'icmp' : 'icmp6';
  const words = x.wordsOf(l3);
  return [
    x.rule('answers to what left with the VIP as its source', x.isReply, x.verdict('accept')),
    x.rule('errors of known connections', x.isTransport(icmp), x.isRelated, x.verdict('accept')),
    ...(l3 === 'ip6' ? [neighbourRule('87', 'solicitation'), neighbourRule('88', 'advertisement')] : []),
    x.rule('DHCP client', x.isTransport('udp'), hasPort(68), x.verdict('accept')),
    x.rule('ports of Services', toVip(l3), [
      { op: 'meta', key: 'l4proto', to: words },
      { op: 'payload', base: 'transport', offset: 2, length: 2, to: words + 1 },
      { op: 'lookup', set: 'ports', key: 0, to: 'verdict' },
    ]),
    x.rule('nothing else', toVip(l3), isIn('closed'), x.verdict('drop')),
  ];
}

/** Routers probe a VIP's neighbour entry at the VIP itself (RFC 4861 7.3.3). */
function neighbourRule(type: string, what: string): NftRule {
  return x.rule(`neighbour ${what}`, x.isTransport('icmp6'), hasByte(type), x.verdict('accept'));
}

function hasByte(value: string): readonly NftExpression[] {
  return [
    { op: 'payload', base: 'transport', offset: 0, length: 1, to: 0 },
    { op: 'cmp', register: 0, is: '==', value },
  ];
}

function hasPort(port: number): readonly NftExpression[] {
  return [
    { op: 'payload', base: 'transport', offset: 2, length: 2, to: 0 },
    { op: 'cmp', register: 0, is: '==', value: portHex(port) },
  ];
}

function toVip(l3: L3): readonly NftExpression[] {
  return x.destination(l3).slice(0, 1);
}

function isIn(set: string): readonly NftExpression[] {
  return [{ op: 'lookup', set, key: 0 }];
}

/** Named after what is in it: Services with the same ranges share one. */
function sourcesChain(l3: L3, sources: readonly Prefix[]): NftChain {
  const own = sources.filter(({ address }) => (familyOf(address) === 4) === (l3 === 'ip'));
  // Each once and in one order, whoever asks: what has the same name is the same.
  const byText = new Map(own.map((prefix) => [formatPrefix(prefix), prefix]));
  const ordered = [...byText].sort(([a], [b]) => (a < b ? -1 : 1));
  const texts = ordered.map(([text]) => text);
  const digest = createHash('sha256').update(`${l3} ${texts.join()}`).digest('hex').slice(0, 16);
  const rules = ordered.map(([text, prefix]) =>
    x.rule(`from ${text}`, isFrom(l3, prefix), x.verdict('accept')),
  );
  const local = x.rule('from this node itself', isLocal, x.verdict('accept'));
  return {
    name: `from_${digest}`,
    rules: [local, ...rules, x.rule('from elsewhere', x.verdict('drop'))],
  };
}

const isLocal: readonly NftExpression[] = [
  { op: 'meta', key: 'iifname', to: 0 },
  { op: 'cmp', register: 0, is: '==', value: linkNameHex('lo') },
];

function isFrom(l3: L3, { address, length }: Prefix): readonly NftExpression[] {
  const bytes = ipToBytes(address);
  const mask = bytes.map((_, i) => (0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff);
  return [
    ...x.sourceAddress(l3, 0),
    { op: 'and', register: 0, mask: hexOf(mask) },
    { op: 'cmp', register: 0, is: '==', value: hexOf(bytes.map((byte, i) => byte & (mask[i] ?? 0))) },
  ];
}
