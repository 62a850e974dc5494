import { ipToBytes, type Ip } from '../../../lib/ip.ts';

/**
 * What stands for a server in the flow memory: its IPv4 address, or a hash of its IPv6 address
 * (FNV-1a). The same after a restart, which finds the flows of its predecessor.
 */
export function markOf(address: Ip): number {
  const bytes = ipToBytes(address);
  if (bytes.length === 4) return new DataView(bytes.buffer).getUint32(0);
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash === 0 ? 1 : hash;
}
