import type { Machine } from '../../../lab/index.ts';

/** All that balancing and its VIPs leave in the kernel of a node, as other programs see it. */
export interface Traces {
  /** Names of tables with `kube-vip` in them. */
  readonly tables: readonly string[];
  readonly onLo: readonly string[];
  /** net.ipv4.conf.all.arp_ignore and arp_announce. */
  readonly arp: readonly string[];
  /** Which of the VIPs are on some link. */
  readonly held: readonly string[];
}

export async function tracesOn(node: Machine, vips: readonly string[]): Promise<Traces> {
  const tables = await node.run('nft', ['list', 'tables']);
  const settings = await node.run('sysctl', [
    '-n',
    'net.ipv4.conf.all.arp_ignore',
    'net.ipv4.conf.all.arp_announce',
  ]);
  const held = [];
  for (const vip of vips) if (await node.holds(vip)) held.push(vip);
  return {
    tables: tables.split('\n').filter((line) => line.includes('kube-vip')),
    onLo: (await node.addresses('lo')).map(({ local = '' }) => local),
    arp: settings.trim().split('\n'),
    held,
  };
}
