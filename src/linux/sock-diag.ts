import { DecodeError } from '../lib/errors.ts';
import { ipFromBytes } from '../lib/ip.ts';
import { AttributeTable, u8 } from './netlink/attributes.ts';
import { NETLINK_SOCK_DIAG, NetlinkSocket } from './netlink/socket.ts';
import { hostIsLittleEndian, NlReader, NlWriter } from './netlink/wire.ts';
import type { Poller } from './poll.ts';
import * as sys from './sys.ts';
import type { TcpListener } from './types.ts';

/** The one message type, and what it asks for (linux/sock_diag.h, linux/inet_diag.h). */
const SOCK_DIAG_BY_FAMILY = 20;
const IPPROTO_TCP = 6;
const TCP_LISTEN = 10;
/** struct inet_diag_sockid after its two ports: two addresses of 16 bytes, link and cookie. */
const addressBytes = 16;
const cookieBytes = 12;
/** expires, rqueue, wqueue, uid, inode: five numbers at the end of struct inet_diag_msg. */
const countersBytes = 20;

const diagAttributes = new AttributeTable('inet_diag', { v6Only: [11, u8] });

/**
 * Who listens for TCP connections in the network namespace this thread is in. Throws KernelError, for
 * one where the kernel has no inet_diag.
 */
export async function tcpListeners(poller: Poller): Promise<readonly TcpListener[]> {
  const netlink = new NetlinkSocket(NETLINK_SOCK_DIAG, poller);
  try {
    const all: TcpListener[] = [];
    for (const family of [sys.AF_INET, sys.AF_INET6]) {
      const request = {
        doing: { op: 'list listening sockets' },
        type: SOCK_DIAG_BY_FAMILY,
        payload: encodeListenerQuery(family),
      };
      all.push(...(await netlink.dump(request, ({ payload }) => decodedOrSkipped(payload))));
    }
    return all;
  } finally {
    netlink.close();
  }
}

/** struct inet_diag_req_v2 for all listening sockets of one address family. */
export function encodeListenerQuery(family: number): Uint8Array {
  const id = 4 + 2 * addressBytes + cookieBytes;
  return new NlWriter()
    .u8(family)
    .u8(IPPROTO_TCP)
    .u16(0)
    .u32(1 << TCP_LISTEN)
    .zeros(id)
    .done();
}

/** struct inet_diag_msg; undefined for a socket that does not listen. Throws DecodeError. */
export function decodeListener(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): TcpListener | undefined {
  const reader = new NlReader('inet_diag', payload, littleEndian);
  const family = reader.u8('family');
  const state = reader.u8('state');
  reader.bytesOf('timers', 2);
  const port = reader.u16('port', false);
  reader.bytesOf('peer port', 2);
  const address = reader.bytesOf('address', addressBytes).slice(0, family === sys.AF_INET ? 4 : addressBytes);
  reader.bytesOf('peer and cookie', addressBytes + cookieBytes);
  reader.bytesOf('counters', countersBytes);
  const { v6Only = 0 } = diagAttributes.decode(reader);
  if (state !== TCP_LISTEN) return undefined;
  return { address: ipFromBytes(address), port, v6Only: v6Only !== 0 };
}

/** One socket that is not understood must not hide the others. */
function decodedOrSkipped(payload: Uint8Array): TcpListener | undefined {
  try {
    return decodeListener(payload);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return undefined;
  }
}
