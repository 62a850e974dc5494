import { lookup } from 'node:dns/promises';
import { parseIp, type Ip } from '../lib/ip.ts';

/**
 * All addresses of a name by the machine's own resolver (getaddrinfo: hosts file, then DNS), in its
 * order. Rejects with the resolver's error when there are none.
 */
export async function resolveName(name: string): Promise<readonly Ip[]> {
  const found = await lookup(name, { all: true, order: 'verbatim' });
  return found.flatMap(({ address }) => parseIp(address) ?? []);
}
