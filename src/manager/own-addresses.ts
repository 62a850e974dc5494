import { messageOf } from '../lib/errors.ts';
import type { Ip } from '../lib/ip.ts';
import { linksOfServices } from '../lib/links-of-services.ts';
import type { Logger } from '../lib/log.ts';
import type { Kernel } from '../linux/index.ts';

/**
 * Warns of VIPs that this node has as its own addresses, on whichever link: neither this program nor the lease has a say
 * in those, so another holder has them as well. VIPs that any kube-vip has put there are deprecated; one on `lo` makes
 * the node a real server of somebody's balancer, and kube-proxy has those of Services on a link of its own. Never rejects.
 */
export async function warnOfOwnAddresses(
  kernel: Pick<Kernel, 'addresses' | 'links'>,
  vips: ReadonlySet<Ip>,
  log: Logger,
): Promise<void> {
  try {
    await look(kernel, vips, log);
  } catch (error) {
    log.debug('own addresses cannot be listed', { error: messageOf(error) });
  }
}

async function look(
  kernel: Pick<Kernel, 'addresses' | 'links'>,
  vips: ReadonlySet<Ip>,
  log: Logger,
): Promise<void> {
  const addresses = await kernel.addresses();
  const own = addresses.filter(({ address, deprecated }) => !deprecated && vips.has(address));
  if (own.length === 0) return;
  const links = new Map((await kernel.links()).map(({ index, name }) => [index, name]));
  for (const { address: vip, ifindex } of own) {
    const link = links.get(ifindex);
    if (link === undefined || link === 'lo' || linksOfServices.has(link)) continue;
    const what =
      'the VIP is an address of this node itself: it stays here whoever holds, and then two nodes have it';
    log.warn(what, { vip, link });
  }
}
