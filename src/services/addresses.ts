import { familyOf, parseIp, type Ip } from '../lib/ip.ts';
import { annotation, type Service } from './types.ts';

/** What a Service wants to be reached at, in order, without repeats. */
export interface WantedAddresses {
  readonly addresses: readonly Ip[];
  readonly hostnames: readonly string[];
}

/**
 * Where the addresses of a Service come from: the annotation if it is there at all; else
 * `spec.loadBalancerIP` when the status disagrees with it in its own family (a stale status loses); else
 * the status; else `spec.loadBalancerIP`.
 */
export function wantedAddresses(service: Service): WantedAddresses {
  const fromAnnotation = service.metadata.annotations?.[annotation.addresses];
  if (fromAnnotation !== undefined) return split(fromAnnotation.split(','));
  const spec = service.spec?.loadBalancerIP?.trim() ?? '';
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const specIp = parseIp(spec);
  const stale =
    specIp !== undefined &&
    ingress.some(({ ip }) => {
      const current = ip === undefined ? undefined : parseIp(ip);
      return current !== undefined && familyOf(current) === familyOf(specIp) && current !== specIp;
    });
  const fromStatus = ingress.map(({ ip, hostname }) => ip ?? hostname ?? '');
  return stale || fromStatus.length === 0 ? split([spec]) : split(fromStatus);
}

function split(items: readonly string[]): WantedAddresses {
  const addresses = new Set<Ip>();
  const hostnames = new Set<string>();
  for (const item of items.map((text) => text.trim()).filter((text) => text !== '')) {
    const address = parseIp(item);
    if (address === undefined) hostnames.add(item.toLowerCase());
    else addresses.add(address);
  }
  return { addresses: [...addresses], hostnames: [...hostnames] };
}
