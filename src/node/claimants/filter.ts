import { ipToBytes, type Ip } from '../../lib/ip.ts';
import {
  hardwareAddressLength,
  linkHeaderLength,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  type HardwareType,
} from '../../protocols/index.ts';

/** Classic BPF: code, jump if true, jump if false, constant. */
export type Instruction = readonly [number, number, number, number];

// linux/filter.h and linux/bpf_common.h
const LOAD_BYTE = 0x30;
const LOAD_WORD = 0x20;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_EQUAL_X = 0x1d;
const COPY_TO_X = 0x07;
const RETURN = 0x06;

const accept: Instruction = [RETURN, 0, 0, 0xffff];
const drop: Instruction = [RETURN, 0, 0, 0];

/** Jumps reach 255 instructions; a list longer than that is cut into parts with an exit each. */
const partLength = 200;
/** Beyond this a program would be too long (4096 instructions): frames are then sorted out here. */
export const maxListed = 2000;
const NEXT_HEADER_ICMPV6 = 58;

/** ARP packets whose sender is one of these IPv4 VIPs; for more than `maxListed`, every gratuitous one. */
export function arpFilter(hardwareType: HardwareType, vips: readonly Ip[]): readonly Instruction[] {
  const sender = linkHeaderLength(hardwareType) + 8 + hardwareAddressLength(hardwareType);
  const target = sender + 4 + hardwareAddressLength(hardwareType);
  if (vips.length > maxListed) {
    return [
      [LOAD_WORD, 0, 0, sender],
      [COPY_TO_X, 0, 0, 0],
      [LOAD_WORD, 0, 0, target],
      [JUMP_EQUAL_X, 0, 1, 0],
      accept,
      drop,
    ];
  }
  return [[LOAD_WORD, 0, 0, sender], ...isOneOf(vips.map(lastWord)), drop];
}

/**
 * Neighbour advertisements for one of these IPv6 VIPs, and probes of duplicate address detection for
 * one; for more than `maxListed`, all of them. Compared by the last 32 bits of the target: the few
 * that match by chance are sorted out later.
 */
export function ndpFilter(hardwareType: HardwareType, vips: readonly Ip[]): readonly Instruction[] {
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
    ...(vips.length > maxListed ? [accept] : [...isOneOf(vips.map(lastWord)), drop]),
  ];
}

/** Accepts when the accumulator is one of the words; else goes on behind the list. */
function isOneOf(words: readonly number[]): readonly Instruction[] {
  const program: Instruction[] = [];
  for (let start = 0; start < words.length; start += partLength) {
    const part = words.slice(start, start + partLength);
    for (const [i, word] of part.entries()) program.push([JUMP_EQUAL, part.length - i, 0, word]);
    program.push([JUMP, 0, 0, 1], accept);
  }
  return program;
}

function lastWord(vip: Ip): number {
  const bytes = ipToBytes(vip);
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4).getUint32(0);
}
