import { familyOf, hostLength, type Ip } from '../lib/ip.ts';
import type { Catalogue } from './catalogue.ts';
import { automatic, isInSubnet, type LocalChange } from './placement.ts';
import type { PlacementConfig, ServiceKey } from './types.ts';

/**
 * The Services whose VIPs may have another place on this node after a change of its links and own addresses (undefined: nobody knows which). As a rule
 * none: each Pod that starts brings a link and an address that nobody asked for, and a look at five thousand Services is a tenth of a second.
 */
export function concernedBy(
  change: LocalChange | undefined,
  catalogue: Catalogue,
  config: PlacementConfig,
): Iterable<ServiceKey> {
  if (change === undefined) return catalogue.keys();
  const { links, addresses } = change;
  if (links.includes(config.mainLink) || links.includes(config.servicesLink)) return catalogue.keys();
  const concerned = new Set<ServiceKey>();
  const note = (vip: Ip): void => {
    for (const key of catalogue.claimants(vip)) concerned.add(key);
  };
  for (const { address } of addresses) note(address);
  const subnets = addresses.filter(({ address, prefixLength }) => prefixLength < hostLength(address));
  const isInOne = (vip: Ip): boolean =>
    subnets.some((own) => familyOf(own.address) === familyOf(vip) && isInSubnet(vip, own));
  const { servicesLink, prefix4, prefix6 } = config;
  const isAutomatic = [servicesLink, prefix4, prefix6].includes(automatic);
  if (isAutomatic && subnets.length > 0) for (const vip of catalogue.vips()) if (isInOne(vip)) note(vip);
  for (const { link, addresses: vips } of catalogue.askingForLinks())
    for (const vip of vips) if (links.includes(link) || (link === automatic && isInOne(vip))) note(vip);
  return concerned;
}
