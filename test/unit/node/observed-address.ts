import { ip } from '../../../src/lib/ip.ts';
import type { Address } from '../../../src/linux/types.ts';

/** One of our VIPs as the kernel reports it. */
export function observedAddress(ifindex: number, vip: string, more: Partial<Address> = {}): Address {
  return {
    ifindex,
    address: ip(vip),
    prefixLength: vip.includes(':') ? 128 : 32,
    scope: 'global',
    validLifetime: undefined,
    preferredLifetime: undefined,
    deprecated: true,
    tentative: false,
    dadFailed: false,
    noDad: false,
    permanent: true,
    broadcast: undefined,
    protocol: 248,
    ...more,
  };
}
