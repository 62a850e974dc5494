import {
  hardwareAddressLength,
  linkHeaderLength,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  type HardwareType,
} from '../../protocols/index.ts';
import type { PacketFilter } from '../../linux/types.ts';

// linux/filter.h and linux/bpf_common.h
const LOAD_BYTE = 0x30;
const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_GREATER_OR_EQUAL = 0x35;
const RETURN = 0x06;

type Instruction = PacketFilter[number];

const accept: Instruction = [RETURN, 0, 0, 0xffff];
const drop: Instruction = [RETURN, 0, 0, 0];

/** Of two instructions each: a jump passes 255 instructions at most. */
const maxRanges = 120;
const NEXT_HEADER_ICMPV6 = 58;

/** The last 32 bits of addresses, both bounds included. */
export type Range = readonly [first: number, last: number];

/**
 * Ranges in rising order that cover these words, given in any order and more than once. When they would be too
 * many for a filter the smallest gaps are covered too: what else is in them has to be sorted out later.
 */
export function rangesOf(words: Uint32Array): readonly Range[] {
  const sorted = words.toSorted();
  const gaps: number[] = [];
  for (let i = 1; i < sorted.length; i++) {
    const gap = (sorted[i] ?? 0) - (sorted[i - 1] ?? 0);
    if (gap > 1) gaps.push(gap);
  }
  const widest = gaps.sort((a, b) => b - a).slice(0, maxRanges - 1);
  const ranges: Range[] = [];
  let first = sorted[0];
  if (first === undefined) return [];
  // Of gaps that are equally wide some may have to be covered.
  let equal = widest.filter((gap) => gap === widest.at(-1)).length;
  for (let i = 1; i < sorted.length; i++) {
    const [before = 0, word = 0] = [sorted[i - 1], sorted[i]];
    const gap = word - before;
    const least = widest.at(-1) ?? Infinity;
    if (gap < least || (gap === least && equal-- <= 0)) continue;
    ranges.push([first, before]);
    first = word;
  }
  ranges.push([first, sorted.at(-1) ?? first]);
  return ranges;
}

/** ARP packets whose sender's IPv4 address is in one of the ranges. */
export function arpFilter(hardwareType: HardwareType, ranges: readonly Range[]): PacketFilter {
  const sender = linkHeaderLength(hardwareType) + 8 + hardwareAddressLength(hardwareType);
  return [[LOAD_WORD, 0, 0, sender], ...isInOneOf(ranges)];
}

/**
 * Neighbour advertisements for an IPv6 address whose last 32 bits are in one of the ranges, and probes of
 * duplicate address detection for one.
 */
export function ndpFilter(hardwareType: HardwareType, ranges: readonly Range[]): PacketFilter {
  const ip = linkHeaderLength(hardwareType);
  const icmp = ip + 40;
  const isUnspecified = [8, 12, 16, 20].flatMap((offset): readonly Instruction[] => [
    [LOAD_WORD, 0, 0, ip + offset],
    [JUMP_EQUAL, 1, 0, 0],
    drop,
  ]);
  return [
    [LOAD_BYTE, 0, 0, ip + 6],
    [JUMP_EQUAL, 1, 0, NEXT_HEADER_ICMPV6],
    drop,
    [LOAD_BYTE, 0, 0, icmp],
    [JUMP_EQUAL, isUnspecified.length + 2, 0, NEIGHBOUR_ADVERTISEMENT],
    [JUMP_EQUAL, 1, 0, NEIGHBOUR_SOLICITATION],
    drop,
    ...isUnspecified,
    [LOAD_WORD, 0, 0, icmp + 20],
    ...isInOneOf(ranges),
  ];
}

/** The end of a program: accepts when the accumulator is in one of the ranges, else drops. */
function isInOneOf(ranges: readonly Range[]): readonly Instruction[] {
  const program: Instruction[] = [];
  for (const [i, [first, last]] of ranges.entries()) {
    // What is below a range is below all that follow.
    const toEnd = 2 * (ranges.length - i) - 1;
    program.push([JUMP_GREATER_OR_EQUAL, 0, toEnd, first], [JUMP_GREATER, 0, toEnd, last]);
  }
  return [...program, drop, accept];
}
