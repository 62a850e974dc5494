import { lookup } from 'node:dns/promises';
import { parseIp, type Ip } from '../lib/ip.ts';
import { exitNow } from './sys.ts';

/**
 * All addresses of a name by the machine's own resolver (getaddrinfo: hosts file, then DNS), in its
 * order. Rejects with the resolver's error when there are none.
 */
export async function resolveName(name: string): Promise<readonly Ip[]> {
  const found = await lookup(name, { all: true, order: 'verbatim' });
  return found.flatMap(({ address }) => parseIp(address) ?? []);
}

/**
 * Lets the process end although the resolver is still asked for a name, by whomever. Node waits for the threads
 * that ask, and nothing can interrupt those: a name server that is silent makes it half a minute.
 */
export function endBesideResolver(): void {
  process.off('exit', leaveResolver);
  process.on('exit', leaveResolver);
}

function leaveResolver(status: number): void {
  if (process.getActiveResourcesInfo().includes('GetAddrInfoReqWrap')) exitNow(status);
}
