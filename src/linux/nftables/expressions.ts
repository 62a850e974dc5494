import type { NlWriter } from '../netlink/wire.ts';
import { NFPROTO_IPV4, NFPROTO_IPV6 } from '../nfnetlink/header.ts';
import { putBe32, putBe64, putBytes, putNested, putText, putU8 } from '../nfnetlink/attributes.ts';
import type { ConntrackKey, Hex, MetaKey, NftExpression, NftVerdict, PayloadBase } from './types.ts';

/** NFT_REG_VERDICT, and NFT_REG32_00 from which the 32-bit registers count. */
const VERDICT_REGISTER = 0;
const FIRST_REGISTER = 8;

const bases: Readonly<Record<PayloadBase, number>> = { link: 0, network: 1, transport: 2 };

/** NFT_META_*. */
const metaKeys: Readonly<Record<MetaKey, number>> = {
  protocol: 1,
  priority: 2,
  mark: 3,
  iifname: 6,
  oifname: 7,
  l4proto: 16,
  pkttype: 19,
};

/** NFT_CT_* and, where the key has a direction, IP_CT_DIR_ORIGINAL. */
const conntrackKeys: Readonly<Record<ConntrackKey, { readonly key: number; readonly original: boolean }>> = {
  state: { key: 0, original: false },
  direction: { key: 1, original: false },
  status: { key: 2, original: false },
  'original ip daddr': { key: 20, original: true },
  'original ip6 daddr': { key: 22, original: true },
  'original proto-dst': { key: 12, original: true },
};

/** NFT_* and NF_* verdict codes. */
const verdictCodes = { accept: 1, drop: 0, return: -5, goto: -4, jump: -3 } as const;

export function bytesOfHex(hex: Hex): Uint8Array {
  return Buffer.from(hex, 'hex');
}

/** NFTA_DATA_VALUE (1) or NFTA_DATA_VERDICT (2) inside an attribute. */
export function putData(writer: NlWriter, type: number, data: Hex | { readonly verdict: NftVerdict }): void {
  putNested(writer, type, (inner) => {
    if (typeof data === 'string') putBytes(inner, 1, bytesOfHex(data));
    else putNested(inner, 2, (verdict) => putVerdict(verdict, data.verdict));
  });
}

function putVerdict(writer: NlWriter, verdict: NftVerdict): void {
  if (typeof verdict === 'string') {
    putBe32(writer, 1, verdictCodes[verdict]);
  } else if ('goto' in verdict) {
    putBe32(writer, 1, verdictCodes.goto);
    putText(writer, 2, verdict.goto);
  } else {
    putBe32(writer, 1, verdictCodes.jump);
    putText(writer, 2, verdict.jump);
  }
}

/** How an expression refers to a set: a named one, or an inline one that the same batch added under this id. */
export interface SetReference {
  readonly name: string;
  readonly id?: number;
}

type Fill = (writer: NlWriter) => void;

/** Appends one NFTA_LIST_ELEM (1) with the name and attributes of an expression. */
export function putExpression(
  writer: NlWriter,
  expression: NftExpression,
  set: SetReference | undefined,
): void {
  const [name, fill] = encoding(expression, set);
  putNested(writer, 1, (element) => {
    putText(element, 1, name);
    putNested(element, 2, fill);
  });
}

function encoding(e: NftExpression, set: SetReference | undefined): readonly [string, Fill] {
  switch (e.op) {
    case 'payload':
      return [
        'payload',
        (w) => putNumbers(w, [1, reg(e.to)], [2, bases[e.base]], [3, e.offset], [4, e.length]),
      ];
    case 'payload write':
      return ['payload', (w) => putPayloadWrite(w, e)];
    case 'meta':
      return ['meta', (w) => putNumbers(w, [1, reg(e.to)], [2, metaKeys[e.key]])];
    case 'meta set':
      return ['meta', (w) => putNumbers(w, [2, metaKeys[e.key]], [3, reg(e.from)])];
    case 'ct':
      return ['ct', (w) => putConntrack(w, e.key, reg(e.to))];
    case 'cmp':
      return [
        'cmp',
        (w) => {
          putNumbers(w, [1, reg(e.register)], [2, e.is === '==' ? 0 : 1]);
          putData(w, 3, e.value);
        },
      ];
    case 'and':
      return ['bitwise', (w) => putMask(w, reg(e.register), e.mask, e.xor)];
    case 'counter':
      return ['counter', () => undefined];
    case 'immediate':
      return [
        'immediate',
        (w) => {
          putBe32(w, 1, reg(e.to));
          putData(w, 2, e.value);
        },
      ];
    case 'verdict':
      return [
        'immediate',
        (w) => {
          putBe32(w, 1, VERDICT_REGISTER);
          putData(w, 2, { verdict: e.verdict });
        },
      ];
    case 'lookup':
      return ['lookup', (w) => putLookup(w, e, set)];
    case 'no lookup':
      return ['lookup', (w) => putNoLookup(w, e)];
    case 'update':
    case 'delete':
      return ['dynset', (w) => putDynamic(w, e)];
    case 'limit':
      return ['limit', (w) => putLimit(w, e.perSecond)];
    case 'numgen inc':
      return ['numgen', (w) => putNumbers(w, [1, reg(e.to)], [2, e.modulus], [3, 0], [4, 0])];
    case 'jhash':
      return [
        'hash',
        (w) => {
          putNumbers(w, [1, reg(e.from)], [2, reg(e.to)], [3, e.length], [4, e.modulus], [5, e.seed], [7, 0]);
        },
      ];
    case 'snat':
    case 'dnat':
      return ['nat', (w) => putTranslation(w, e)];
    case 'masquerade':
      return ['masq', () => undefined];
    case 'reject with tcp reset':
      return [
        'reject',
        (w) => {
          putBe32(w, 1, 1);
          putU8(w, 2, 0);
        },
      ];
    case 'fwd':
      return ['fwd', (w) => putBe32(w, 1, reg(e.device))];
  }
}

function reg(register: number): number {
  return FIRST_REGISTER + register;
}

function putNumbers(writer: NlWriter, ...pairs: readonly (readonly [number, number])[]): void {
  for (const [type, value] of pairs) putBe32(writer, type, value);
}

function putConntrack(writer: NlWriter, key: ConntrackKey, register: number): void {
  const { key: number, original } = conntrackKeys[key];
  putNumbers(writer, [1, register], [2, number]);
  if (original) putU8(writer, 3, 0);
}

/** NFT_PAYLOAD_CSUM_NONE, and NFT_PAYLOAD_CSUM_INET: the kernel corrects the checksum by what the bytes differ. */
const checksumType = { none: 0, inet: 1 } as const;

function putPayloadWrite(
  writer: NlWriter,
  { base, offset, length, from, checksumAt }: Extract<NftExpression, { op: 'payload write' }>,
): void {
  const type = checksumAt === undefined ? checksumType.none : checksumType.inet;
  putNumbers(
    writer,
    [2, bases[base]],
    [3, offset],
    [4, length],
    [5, reg(from)],
    [6, type],
    [7, checksumAt ?? 0],
  );
}

function putMask(writer: NlWriter, register: number, mask: Hex, xor = '0'.repeat(mask.length)): void {
  putNumbers(writer, [1, register], [2, register], [3, mask.length / 2]);
  putData(writer, 4, mask);
  putData(writer, 5, xor);
}

function putLookup(
  writer: NlWriter,
  { key, to }: Extract<NftExpression, { op: 'lookup' }>,
  set: SetReference | undefined,
): void {
  putText(writer, 1, set?.name ?? '');
  putBe32(writer, 2, reg(key));
  if (to !== undefined) putBe32(writer, 3, to === 'verdict' ? VERDICT_REGISTER : reg(to));
  if (set?.id !== undefined) putBe32(writer, 4, set.id);
}

/** NFT_LOOKUP_F_INV in NFTA_LOOKUP_FLAGS. */
function putNoLookup(writer: NlWriter, { set, key }: Extract<NftExpression, { op: 'no lookup' }>): void {
  putText(writer, 1, set);
  putNumbers(writer, [2, reg(key)], [5, 1]);
}

function putDynamic(writer: NlWriter, e: Extract<NftExpression, { op: 'update' | 'delete' }>): void {
  putText(writer, 1, e.set);
  putNumbers(writer, [3, e.op === 'update' ? 1 : 2], [4, reg(e.key)]);
  if (e.data !== undefined) putBe32(writer, 5, reg(e.data));
  if (e.op === 'update') putBe64(writer, 6, BigInt(e.timeoutMs));
}

/** NFTA_LIMIT_*: so many packets (type 0) a second, and as many at once. */
function putLimit(writer: NlWriter, perSecond: number): void {
  putBe64(writer, 1, BigInt(perSecond));
  putBe64(writer, 2, 1n);
  putNumbers(writer, [3, perSecond], [4, 0], [5, 0]);
}

function putTranslation(writer: NlWriter, e: Extract<NftExpression, { op: 'snat' | 'dnat' }>): void {
  putNumbers(writer, [1, e.op === 'snat' ? 0 : 1], [2, e.family === 'ip' ? NFPROTO_IPV4 : NFPROTO_IPV6]);
  putBe32(writer, 3, reg(e.address));
  if (e.port !== undefined) putBe32(writer, 5, reg(e.port));
}
