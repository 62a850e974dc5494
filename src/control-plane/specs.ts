import type { Fence } from '../lib/fence.ts';
import { familyOf } from '../lib/ip.ts';
import type { AddressSpec, AdvertisementSpec, Spec } from '../node/types.ts';
import type { ControlPlaneOptions } from './types.ts';

/**
 * What a holder wants on its node: every VIP on the link and announced there, as long as the fence holds.
 * With BGP the peers are told instead, while `isHealthy`.
 */
export function holderSpecs(options: ControlPlaneOptions, fence: Fence, isHealthy: boolean): Spec[] {
  if (options.reach === 'bgp') return advertisedSpecs(options, isHealthy).map((spec) => ({ ...spec, fence }));
  return options.vips.flatMap(({ vip, prefixLength }): Spec[] => [
    { ...addressSpec(options, vip, prefixLength), ...(options.expire && { validLifetime: 'tenure' }), fence },
    { kind: 'announcement', vip, link: options.link, periodMs: options.announcePeriodMs, fence },
  ]);
}

/** The VIPs on the link, and BGP peers knowing them while `isHealthy`. */
export function advertisedSpecs(
  options: AddressForm & Pick<ControlPlaneOptions, 'vips'>,
  isHealthy: boolean,
): (AddressSpec | AdvertisementSpec)[] {
  return options.vips.flatMap(({ vip, prefixLength }): (AddressSpec | AdvertisementSpec)[] => [
    addressSpec(options, vip, prefixLength),
    ...(isHealthy ? [{ kind: 'advertisement', vip, link: options.link } as const] : []),
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

/** How every control-plane VIP is put on this node, whatever the mode. */
export type AddressForm = Pick<ControlPlaneOptions, 'link' | 'scope' | 'noDad'>;

export function addressSpec(
  options: AddressForm,
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
