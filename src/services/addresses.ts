import { familyOf, parseIp, whyNoVip, type Ip } from '../lib/ip.ts';
import { listedItems, maxListed, type Listed } from '../lib/text-list.ts';
import { quote } from '../lib/text.ts';
import { annotation, type Service } from './types.ts';

/** What a Service wants to be reached at, in order, without repeats. */
export interface WantedAddresses {
  readonly addresses: readonly Ip[];
  readonly hostnames: readonly string[];
  /** What cannot be had, and why, in words that name the field. */
  readonly invalid: readonly string[];
  /** Where they stand, in words for its user. */
  readonly field: string;
}

const specField = 'spec.loadBalancerIP';

/**
 * Where the addresses of a Service come from: the annotation if it is there at all; else
 * `spec.loadBalancerIP` when the status disagrees with it in its own family (a stale status loses) or when
 * it is a name, whose addresses the status has; else the status; else `spec.loadBalancerIP`.
 */
export function wantedAddresses(service: Service): WantedAddresses {
  const fromAnnotation = service.metadata.annotations?.[annotation.addresses];
  if (fromAnnotation !== undefined) return split(listedItems(fromAnnotation), annotation.addresses);
  const spec = service.spec?.loadBalancerIP?.trim() ?? '';
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const specIp = parseIp(spec);
  const stale =
    specIp !== undefined &&
    ingress.some(({ ip }) => {
      const current = ip === undefined ? undefined : parseIp(ip);
      return current !== undefined && familyOf(current) === familyOf(specIp) && current !== specIp;
    });
  const isName = spec !== '' && specIp === undefined;
  const fromStatus = ingress.map(({ ip, hostname }) => ip ?? hostname ?? '');
  return stale || isName || fromStatus.length === 0
    ? split({ items: [spec], hasMore: false }, specField)
    : split(
        { items: fromStatus.slice(0, maxListed), hasMore: fromStatus.length > maxListed },
        'status.loadBalancer.ingress',
      );
}

function split({ items, hasMore }: Listed, field: string): WantedAddresses {
  const addresses = new Set<Ip>();
  const hostnames = new Set<string>();
  const invalid = new Set<string>();
  for (const item of items.filter((text) => text !== '')) {
    const address = parseIp(item);
    const why = address === undefined ? undefined : whyNoVip(address);
    if (why !== undefined) invalid.add(`${field}: ${item} ${why}`);
    else if (address !== undefined) addresses.add(address);
    else if (isName(item)) hostnames.add(item.toLowerCase());
    else invalid.add(`${field}: ${quote(item)} is neither an address nor a name`);
  }
  if (hasMore) invalid.add(`${field}: it has more than ${maxListed} items; those after are left out`);
  return { addresses: [...addresses], hostnames: [...hostnames], invalid: [...invalid], field };
}

/** Labels of letters, digits, hyphens and underscores; one that ends in a number is an address gone wrong. */
function isName(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.');
  const isLabel = (label: string): boolean => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label);
  return text.length <= 253 && labels.every(isLabel) && !/^\d+$/.test(labels.at(-1) ?? '');
}
