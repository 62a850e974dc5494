import { hostIsLittleEndian } from '../netlink/wire.ts';
import { AF_INET } from '../sys.ts';
import type { PacketFilter } from '../types.ts';
import { RTM_NEWADDR } from './header.ts';

// linux/filter.h and linux/bpf_common.h
const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;

/** Offsets in struct nlmsghdr, and of `ifa_family` behind it. */
const typeAt = 4;
const portAt = 12;
const familyAt = 16;

/**
 * Everything but what tells that an IPv4 address was set by whoever asks the kernel with this port id, which is who
 * inet_rtm_newaddr() reports it with; inet6_ifa_notify() reports with none. Whole notifications are one datagram each.
 */
export function withoutEchoOf(portId: number): PacketFilter {
  return [
    [LOAD_HALF, 0, 0, typeAt],
    [JUMP_EQUAL, 0, 5, asLoaded(RTM_NEWADDR, 2)],
    [LOAD_BYTE, 0, 0, familyAt],
    [JUMP_EQUAL, 0, 3, AF_INET],
    [LOAD_WORD, 0, 0, portAt],
    [JUMP_EQUAL, 0, 1, asLoaded(portId, 4)],
    [RETURN, 0, 0, 0],
    [RETURN, 0, 0, 0xffffffff],
  ];
}

/** A filter loads numbers in network byte order; netlink's are in the machine's. */
function asLoaded(value: number, bytes: 2 | 4): number {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 2) view.setUint16(0, value, hostIsLittleEndian);
  else view.setUint32(0, value, hostIsLittleEndian);
  return bytes === 2 ? view.getUint16(0) : view.getUint32(0);
}
