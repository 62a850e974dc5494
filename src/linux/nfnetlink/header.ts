import { AF_INET, AF_INET6 } from '../sys.ts';
import type { NlReader, NlWriter } from '../netlink/wire.ts';

/** Subsystems of nfnetlink, the upper byte of a message type (linux/netfilter/nfnetlink.h). */
export const NFNL_SUBSYS_CTNETLINK = 1;
export const NFNL_SUBSYS_NFTABLES = 10;

export const NFNL_MSG_BATCH_BEGIN = 0x10;
export const NFNL_MSG_BATCH_END = 0x11;

/** Multicast group of every change to nf_tables. */
export const NFNLGRP_NFTABLES = 7;

export const NFPROTO_UNSPEC = 0;
export const NFPROTO_NETDEV = 5;
export const NFPROTO_IPV4 = AF_INET;
export const NFPROTO_IPV6 = AF_INET6;

export function messageType(subsystem: number, message: number): number {
  return (subsystem << 8) | message;
}

/** struct nfgenmsg: family, version 0, resource id in network order. */
export function writeHeader(writer: NlWriter, family: number, resource = 0): NlWriter {
  return writer.u8(family).u8(0).u16(resource, false);
}

/** Skips the header and returns the family. */
export function readHeader(reader: NlReader): number {
  const family = reader.u8('family');
  reader.u8('version');
  reader.u16('resource id');
  return family;
}
