import type { Fence } from '../lib/fence.ts';
import { familyOf } from '../lib/ip.ts';
import type { AddressSpec, Spec } from '../node/types.ts';
import type { ControlPlaneOptions } from './types.ts';

/** What a holder wants on its node: every VIP on the link and announced there, as long as the fence holds. */
export function holderSpecs(options: ControlPlaneOptions, fence: Fence): Spec[] {
  return options.vips.flatMap(({ vip, prefixLength }): Spec[] => [
    { ...addressSpec(options, vip, prefixLength), fence },
    { kind: 'announcement', vip, link: options.link, periodMs: options.announcePeriodMs, fence },
  ]);
}

/**
 * What a former holder keeps under `vip_preserve_on_leadership_loss`: the IPv4 addresses, silent.
 * IPv6 ones go at once, or duplicate address detection would fail on the next holder.
 */
export function preservedSpecs(options: ControlPlaneOptions): Spec[] {
  return options.vips
    .filter(({ vip }) => familyOf(vip) === 4)
    .map(({ vip, prefixLength }) => addressSpec(options, vip, prefixLength));
}

function addressSpec(
  options: ControlPlaneOptions,
  vip: AddressSpec['vip'],
  prefixLength: number,
): AddressSpec {
  return {
    kind: 'address',
    vip,
    prefixLength,
    link: options.link,
    scope: options.scope,
    validLifetime: undefined,
    noDad: options.noDad,
  };
}
