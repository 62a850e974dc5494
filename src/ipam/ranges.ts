import { familyOf, ipFromBytes, ipToBytes, parseIp, parsePrefix, type Family, type Ip } from '../lib/ip.ts';

/** An inclusive run of addresses of one family, as numbers so that IPv6 pools of any size cost nothing. */
export interface Range {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** Network-order value of an address. */
export function numberOf(address: Ip): bigint {
  return ipToBytes(address).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** The address with this value in the family. */
export function addressOf(value: bigint, family: Family): Ip {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  for (let at = bytes.length - 1, rest = value; at >= 0; at--, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  return ipFromBytes(bytes);
}

/**
 * One CIDR as a range; host bits are ignored (`192.168.0.10/24` is the whole /24). Undefined when it does
 * not parse.
 */
export function cidrRange(text: string): Range | undefined {
  const prefix = parsePrefix(text);
  if (prefix === undefined) return undefined;
  const family = familyOf(prefix.address);
  const hostBits = BigInt((family === 4 ? 32 : 128) - prefix.length);
  const first = (numberOf(prefix.address) >> hostBits) << hostBits;
  return { family, first, last: first + (1n << hostBits) - 1n };
}

/** `start-end`, both included; undefined when it is not exactly that, of one family, in rising order. */
export function dashRange(text: string): Range | undefined {
  const parts = text.split('-');
  const [start, end] = parts.map((part) => parseIp(part.trim()));
  if (parts.length !== 2 || start === undefined || end === undefined) return undefined;
  const family = familyOf(start);
  if (familyOf(end) !== family) return undefined;
  const range: Range = { family, first: numberOf(start), last: numberOf(end) };
  return range.first <= range.last ? range : undefined;
}

/** Sorted by family and start; ranges that overlap or touch become one. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => a.family - b.family || (a.first < b.first ? -1 : 1));
  const merged: Range[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && last.family === range.family && range.first <= last.last + 1n) {
      if (range.last > last.last) merged[merged.length - 1] = { ...last, last: range.last };
    } else {
      merged.push(range);
    }
  }
  return merged;
}

/** Cuts merged ranges back into the fewest aligned prefixes (what `skip-end-ips-in-cidr` is defined on). */
export function alignedBlocks(range: Range): Range[] {
  const blocks: Range[] = [];
  const width = range.family === 4 ? 32n : 128n;
  for (let first = range.first; first <= range.last;) {
    let bits = 0n;
    while (
      bits < width &&
      (first & ((1n << (bits + 1n)) - 1n)) === 0n &&
      first + (1n << (bits + 1n)) - 1n <= range.last
    )
      bits++;
    const last = first + (1n << bits) - 1n;
    blocks.push({ family: range.family, first, last });
    first = last + 1n;
  }
  return blocks;
}

/** IPv4 addresses that end in .0 or .255 are never given out. */
export function isUnusable(value: bigint, family: Family): boolean {
  return family === 4 && ((value & 0xffn) === 0n || (value & 0xffn) === 0xffn);
}

/** How many addresses of a range can be given out. */
export function usableCount({ family, first, last }: Range): bigint {
  const all = last - first + 1n;
  return family === 4 ? all - endingIn(0n, first, last) - endingIn(255n, first, last) : all;
}

/** How many values from `first` to `last` have this last byte. */
function endingIn(byte: bigint, first: bigint, last: bigint): bigint {
  const upTo = (end: bigint): bigint => (end < byte ? 0n : ((end - byte) >> 8n) + 1n);
  return upTo(last) - upTo(first - 1n);
}
