import { AttributeTable, forEachAttribute, nested, raw, text, u32be, u64be } from '../netlink/attributes.ts';
import { hostIsLittleEndian, NlReader } from '../netlink/wire.ts';
import { readHeader } from '../nfnetlink/header.ts';
import type { BaseChain, NftElement, NftFamily, NftVerdict } from './types.ts';
import * as v from './values.ts';

const protocol = 'nf_tables';
const DORMANT = 1;

const tableAttributes = new AttributeTable(`${protocol} table`, { name: [1, text], flags: [2, u32be] });

const hookAttributes = new AttributeTable(`${protocol} hook`, {
  number: [1, u32be],
  priority: [2, u32be],
  device: [3, text],
});

const chainAttributes = new AttributeTable(`${protocol} chain`, {
  table: [1, text],
  name: [3, text],
  hook: [4, nested(hookAttributes)],
  type: [7, text],
});

const ruleAttributes = new AttributeTable(`${protocol} rule`, {
  table: [1, text],
  chain: [2, text],
  userData: [7, raw],
});

const setAttributes = new AttributeTable(`${protocol} set`, {
  table: [1, text],
  name: [2, text],
  flags: [3, u32be],
  keyLength: [5, u32be],
  dataType: [6, u32be],
  dataLength: [7, u32be],
});

const verdictAttributes = new AttributeTable(`${protocol} verdict`, { code: [1, u32be], chain: [2, text] });

const dataAttributes = new AttributeTable(`${protocol} data`, {
  value: [1, raw],
  verdict: [2, nested(verdictAttributes)],
});

const elementAttributes = new AttributeTable(`${protocol} element`, {
  key: [1, nested(dataAttributes)],
  data: [2, nested(dataAttributes)],
  expiration: [5, u64be],
});

interface Named {
  readonly family: NftFamily;
  readonly table: string;
}

interface Opened {
  readonly reader: NlReader;
  readonly family: NftFamily;
}

/** undefined for families this program does not use. */
function open(what: string, payload: Uint8Array, littleEndian: boolean): Opened | undefined {
  const reader = new NlReader(`${protocol} ${what}`, payload, littleEndian);
  const family = v.familyFromNumber(readHeader(reader));
  return family === undefined ? undefined : { reader, family };
}

export function decodeTable(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): { readonly family: NftFamily; readonly name: string; readonly dormant: boolean } | undefined {
  const opened = open('table', payload, littleEndian);
  if (opened === undefined) return undefined;
  const { name = '', flags = 0 } = tableAttributes.decode(opened.reader);
  return { family: opened.family, name, dormant: (flags & DORMANT) !== 0 };
}

export function decodeChain(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): (Named & { readonly name: string; readonly base?: BaseChain }) | undefined {
  const opened = open('chain', payload, littleEndian);
  if (opened === undefined) return undefined;
  const { table = '', name = '', hook, type } = chainAttributes.decode(opened.reader);
  const base = hook === undefined ? undefined : baseOf(opened.family, type ?? '', hook);
  return { family: opened.family, table, name, ...(base === undefined ? {} : { base }) };
}

function baseOf(
  family: NftFamily,
  type: string,
  hook: {
    readonly number?: number | undefined;
    readonly priority?: number | undefined;
    readonly device?: string | undefined;
  },
): BaseChain | undefined {
  const name = v.hookFromNumber(hook.number ?? -1, family);
  if (name === undefined || (type !== 'filter' && type !== 'nat' && type !== 'route')) return undefined;
  const device = hook.device === undefined ? {} : { device: hook.device };
  // The priority is a signed number.
  return { type, hook: name, priority: (hook.priority ?? 0) | 0, ...device };
}

export function decodeRule(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): (Named & { readonly chain: string; readonly comment: string }) | undefined {
  const opened = open('rule', payload, littleEndian);
  if (opened === undefined) return undefined;
  const { table = '', chain = '', userData } = ruleAttributes.decode(opened.reader);
  return { family: opened.family, table, chain, comment: commentOf(userData) };
}

const textDecoder = new TextDecoder();

/** libnftnl stores type, length, value; type 0 is the comment. Others may store what they like. */
function commentOf(userData: Uint8Array | undefined): string {
  let at = 0;
  while (userData !== undefined && at + 2 <= userData.length) {
    const length = userData[at + 1] ?? 0;
    const value = userData.subarray(at + 2, at + 2 + length);
    if (userData[at] === 0) return textDecoder.decode(value).replace(/\0.*$/s, '');
    at += 2 + length;
  }
  return '';
}

export interface DecodedSet extends Named {
  readonly name: string;
  readonly anonymous: boolean;
  readonly dynamic: boolean;
  readonly keyLength: number;
  readonly dataLength: number | 'verdict' | undefined;
}

export function decodeSet(payload: Uint8Array, littleEndian = hostIsLittleEndian): DecodedSet | undefined {
  const opened = open('set', payload, littleEndian);
  if (opened === undefined) return undefined;
  const { table = '', name = '', flags = 0, keyLength = 0, ...data } = setAttributes.decode(opened.reader);
  const isMap = (flags & v.setFlag.map) !== 0;
  return {
    family: opened.family,
    table,
    name,
    anonymous: (flags & v.setFlag.anonymous) !== 0,
    dynamic: (flags & v.setFlag.dynamic) !== 0,
    keyLength,
    dataLength: !isMap ? undefined : data.dataType === v.VERDICT_TYPE ? 'verdict' : data.dataLength,
  };
}

/** NFT_MSG_NEWSETELEM: the elements in one message of a dump. */
export function decodeElements(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): readonly NftElement[] {
  const reader = new NlReader(`${protocol} elements`, payload, littleEndian);
  readHeader(reader);
  const elements: NftElement[] = [];
  forEachAttribute(reader, (type, list) => {
    if (type !== 3) return;
    forEachAttribute(new NlReader(reader.protocol, list, littleEndian), (_, bytes) => {
      elements.push(decodeElement(new NlReader(reader.protocol, bytes, littleEndian)));
    });
  });
  return elements;
}

function decodeElement(reader: NlReader): NftElement {
  const { key, data, expiration } = elementAttributes.decode(reader);
  const hex = toHex(key?.value ?? new Uint8Array());
  if (data?.verdict !== undefined) {
    return { key: hex, data: { verdict: verdictOf(reader, data.verdict) } };
  }
  return {
    key: hex,
    ...(data?.value === undefined ? {} : { data: toHex(data.value) }),
    ...(expiration === undefined ? {} : { expiresInMs: Number(expiration) }),
  };
}

function verdictOf(
  reader: NlReader,
  { code = 0, chain = '' }: { readonly code?: number | undefined; readonly chain?: string | undefined },
): NftVerdict {
  switch (code | 0) {
    case 0:
      return 'drop';
    case 1:
      return 'accept';
    case -3:
      return { jump: chain };
    case -4:
      return { goto: chain };
    case -5:
      return 'return';
    default:
      return reader.fail('verdict', `${code | 0} is none that an element can have`);
  }
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const generationAttributes = new AttributeTable(`${protocol} generation`, { id: [1, u32be] });

/** The number of the last batch: nf_tables counts all of a network namespace, whoever sent them. */
export function decodeGeneration(payload: Uint8Array, littleEndian = hostIsLittleEndian): number | undefined {
  const reader = new NlReader(`${protocol} generation`, payload, littleEndian);
  readHeader(reader);
  return generationAttributes.decode(reader).id;
}

/** The table a notification is about: its name is attribute 1 in every message of nf_tables. */
export function decodeTableName(payload: Uint8Array, littleEndian = hostIsLittleEndian): string | undefined {
  const reader = new NlReader(`${protocol} event`, payload, littleEndian);
  readHeader(reader);
  return tableAttributes.decode(reader).name;
}
