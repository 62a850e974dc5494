import type { Ip } from '../lib/ip.ts';
import { clip } from '../lib/text.ts';
import type { Service } from './types.ts';

/** A part of the program that a Service asks for and that does not exist yet. */
export interface MissingPart {
  /** Without it the VIP would be wrong, so it is withheld; else the VIP is served without the part. */
  readonly fatal: boolean;
  readonly message: string;
}

/** Annotations of parts that are not built, without the prefix; `fatal` ones change where the VIP is. */
const unbuilt: readonly { readonly key: string; readonly part: string; readonly fatal: boolean }[] = [
  { key: 'serviceVLAN', part: 'VLAN links', fatal: true },
  { key: 'ddns', part: 'dynamic DNS', fatal: true },
  { key: 'egress', part: 'egress', fatal: false },
  { key: 'forwardUPNP', part: 'UPnP port mappings', fatal: false },
  { key: 'flush-conntrack', part: 'flushing of conntrack entries', fatal: false },
];

const off = new Set(['', 'false', '0', 'f', 'F', 'FALSE', 'False']);
const dhcp = new Set<string>(['0.0.0.0', '::']);

/** What this Service asks for and will not get, in words that name the annotation or field. */
export function missingParts(service: Service, addresses: readonly Ip[]): readonly MissingPart[] {
  const found: MissingPart[] = [];
  for (const { key, part, fatal } of unbuilt) {
    const value = service.metadata.annotations?.[`kube-vip.io/${key}`];
    if (value === undefined || off.has(value)) continue;
    found.push({ fatal, message: `kube-vip.io/${key}=${clip(value)}: ${part}: not implemented yet` });
  }
  for (const address of addresses) {
    if (dhcp.has(address))
      found.push({ fatal: true, message: `addresses by DHCP (${address}): not implemented yet` });
  }
  return found;
}
