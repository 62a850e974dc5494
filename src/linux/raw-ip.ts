import { familyOf, ipToBytes } from '../lib/ip.ts';
import type { Ip } from '../lib/ip.ts';
import { NlWriter } from './netlink/wire.ts';
import * as sys from './sys.ts';
import type { RawIp } from './types.ts';

/** Whole packets of our own making; nothing is received on such a socket. */
const IPPROTO_RAW = 255;

/** Sockets of both families; IPv6 is optional. Throws KernelError `capability` without CAP_NET_RAW. */
export function openRawIp(): RawIp {
  const doing = { op: 'open packet socket', object: 'for IP' };
  const ipv4 = sys.socket(doing, sys.AF_INET, sys.SOCK_RAW, IPPROTO_RAW);
  let ipv6: number | undefined;
  return {
    send: (destination, packet) => {
      const sending = { op: 'send packet', object: `to ${destination}` };
      if (familyOf(destination) === 4) {
        sys.send(sending, ipv4, packet, socketAddress(destination));
        return;
      }
      ipv6 ??= sys.socket(doing, sys.AF_INET6, sys.SOCK_RAW, IPPROTO_RAW);
      sys.send(sending, ipv6, packet, socketAddress(destination));
    },
    close: () => {
      sys.close(ipv4);
      if (ipv6 !== undefined) sys.close(ipv6);
    },
  };
}

/** struct sockaddr_in or sockaddr_in6 with port 0, as raw sockets want it. */
function socketAddress(address: Ip): Uint8Array {
  const bytes = ipToBytes(address);
  return familyOf(address) === 4
    ? new NlWriter().u16(sys.AF_INET).u16(0).bytes(bytes).zeros(8).done()
    : new NlWriter().u16(sys.AF_INET6).u16(0).u32(0).bytes(bytes).u32(0).done();
}
