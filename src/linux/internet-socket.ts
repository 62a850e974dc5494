import { familyOf, ipToBytes, type Family, type Ip } from '../lib/ip.ts';
import * as sys from './sys.ts';

/** Numbers from the kernel's headers. */
const SO_BINDTODEVICE = 25;
const IP_TTL = 2;
const IPV6_UNICAST_HOPS = 16;
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;

/** struct sockaddr_in or sockaddr_in6: family in host order, port in network order. */
export function socketAddress(address: Ip, port: number, scopeId = 0): Uint8Array {
  const isIpv4 = familyOf(address) === 4;
  const bytes = new Uint8Array(isIpv4 ? 16 : 28);
  new Uint16Array(bytes.buffer)[0] = isIpv4 ? sys.AF_INET : sys.AF_INET6;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(ipToBytes(address), isIpv4 ? 4 : 8);
  if (!isIpv4) new Uint32Array(bytes.buffer)[6] = scopeId;
  return bytes;
}

/** Of unicast packets that the socket sends. */
export function setHopLimit(doing: sys.Doing, fd: number, family: Family, limit: number): void {
  const [level, option] = family === 4 ? [IPPROTO_IP, IP_TTL] : [IPPROTO_IPV6, IPV6_UNICAST_HOPS];
  sys.setSocketNumber(doing, fd, level, option, limit);
}

/** From now on packets go and come by this link only. */
export function bindToDevice(doing: sys.Doing, fd: number, link: string): void {
  const name = new Uint8Array(Buffer.from(`${link}\0`));
  sys.setSocketOption(doing, fd, sys.SOL_SOCKET, SO_BINDTODEVICE, name);
}
