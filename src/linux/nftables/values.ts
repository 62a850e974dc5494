import { NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_NETDEV } from '../nfnetlink/header.ts';
import type { NftAtom, NftFamily, NftHook, NftType } from './types.ts';

/** NFT_MSG_*. */
export const message = {
  newTable: 0,
  getTable: 1,
  deleteTable: 2,
  newChain: 3,
  getChain: 4,
  deleteChain: 5,
  newRule: 6,
  getRule: 7,
  deleteRule: 8,
  newSet: 9,
  getSet: 10,
  deleteSet: 11,
  newElements: 12,
  getElements: 13,
  deleteElements: 14,
  newGeneration: 15,
  getGeneration: 16,
} as const;

const families: Readonly<Record<NftFamily, number>> = {
  ip: NFPROTO_IPV4,
  ip6: NFPROTO_IPV6,
  netdev: NFPROTO_NETDEV,
};

export function familyNumber(family: NftFamily): number {
  return families[family];
}

export function familyFromNumber(number: number): NftFamily | undefined {
  const all: readonly NftFamily[] = ['ip', 'ip6', 'netdev'];
  return all.find((family) => families[family] === number);
}

/** NF_INET_*; NF_NETDEV_INGRESS has a number of its own space. */
const hooks: readonly NftHook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

export function hookNumber(hook: NftHook): number {
  return hook === 'ingress' ? 0 : hooks.indexOf(hook);
}

export function hookFromNumber(number: number, family: NftFamily): NftHook | undefined {
  if (family === 'netdev') return number === 0 ? 'ingress' : undefined;
  return hooks[number];
}

/** NFT_SET_*. */
export const setFlag = { anonymous: 0x1, constant: 0x2, map: 0x8, timeout: 0x10, dynamic: 0x20 } as const;

/** NFT_DATA_VERDICT as the data type of a map. */
export const VERDICT_TYPE = 0xffffff00;

interface AtomFacts {
  /** The number by which nft(8) knows the type (its include/datatype.h); the kernel only keeps it. */
  readonly number: number;
  readonly length: number;
  /** In the byte order of the machine, not of the network: nft(8) wants to be told. */
  readonly hostOrder: boolean;
}

const atoms: Readonly<Record<NftAtom, AtomFacts>> = {
  integer: { number: 4, length: 4, hostOrder: true },
  turn: { number: 4, length: 4, hostOrder: true },
  ipv4_addr: { number: 7, length: 4, hostOrder: false },
  ipv6_addr: { number: 8, length: 16, hostOrder: false },
  inet_proto: { number: 12, length: 1, hostOrder: false },
  inet_service: { number: 13, length: 2, hostOrder: false },
  mark: { number: 19, length: 4, hostOrder: true },
};

function atomsOf(type: NftType): readonly AtomFacts[] {
  return (typeof type === 'string' ? [type] : type).map((atom) => atoms[atom]);
}

/** A concatenation has six bits for each part, the first one uppermost. */
export function typeNumber(type: NftType): number {
  return atomsOf(type).reduce((number, { number: atom }) => (number << 6) | atom, 0);
}

/** Bytes of a value; the parts of a concatenation start at whole registers. */
export function typeLength(type: NftType): number {
  const parts = atomsOf(type);
  if (parts.length === 1) return parts[0]?.length ?? 0;
  return parts.reduce((length, part) => length + 4 * Math.ceil(part.length / 4), 0);
}

export function isHostOrder(type: NftType): boolean {
  return atomsOf(type).every(({ hostOrder }) => hostOrder);
}
