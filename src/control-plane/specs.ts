import type { Fence } from '../lib/fence.ts';
import { familyOf } from '../lib/ip.ts';
import type { AddressSpec, AdvertisementSpec, Spec } from '../node/types.ts';
import type { ControlPlaneOptions, PlaneVip } from './types.ts';

/** CP-140: a VIP that comes from a name is in the kernel for this long, and renewed before. */
const NAMED_LIFETIME_S = 60;

/**
 * What a holder wants on its node: every VIP on the link and announced there, as long as the fence holds.
 * With BGP the peers are told instead, while `isHealthy`.
 */
export function holderSpecs(options: ControlPlaneOptions, fence: Fence, isHealthy: boolean): Spec[] {
  if (options.reach === 'bgp') return advertisedSpecs(options, isHealthy).map((spec) => ({ ...spec, fence }));
  return options.vips.flatMap((each): Spec[] => [
    { ...addressSpec(options, each), ...heldLifetime(options, each), fence },
    { kind: 'announcement', vip: each.vip, link: options.link, periodMs: options.announcePeriodMs, fence },
  ]);
}

/**
 * A process whose name servers are silent cannot start again, nor tell what it left: with the tenure nothing of it
 * outlives its lease.
 */
function heldLifetime(
  { expire, leaseDurationMs }: ControlPlaneOptions,
  { isNamed = false }: PlaneVip,
): Partial<AddressSpec> {
  const endsWithTenure = expire || (isNamed && leaseDurationMs <= NAMED_LIFETIME_S * 1000);
  return endsWithTenure ? { validLifetime: 'tenure' } : {};
}

/** The VIPs on the link, and BGP peers knowing them while `isHealthy`. */
export function advertisedSpecs(
  options: AddressForm & Pick<ControlPlaneOptions, 'vips'>,
  isHealthy: boolean,
): (AddressSpec | AdvertisementSpec)[] {
  return options.vips.flatMap((each): (AddressSpec | AdvertisementSpec)[] => [
    addressSpec(options, each),
    ...(isHealthy ? [{ kind: 'advertisement', vip: each.vip, link: options.link } as const] : []),
  ]);
}

/**
 * What a former holder keeps under `vip_preserve_on_leadership_loss`: the IPv4 addresses, silent.
 * IPv6 ones go at once, or duplicate address detection would fail on the next holder.
 */
export function preservedSpecs(options: ControlPlaneOptions): Spec[] {
  return options.vips.filter(({ vip }) => familyOf(vip) === 4).map((each) => addressSpec(options, each));
}

/** How every control-plane VIP is put on this node, whatever the mode. */
export type AddressForm = Pick<ControlPlaneOptions, 'link' | 'scope' | 'noDad'>;

export function addressSpec(
  options: AddressForm,
  { vip, prefixLength, isNamed = false }: PlaneVip,
): AddressSpec {
  return {
    kind: 'address',
    vip,
    prefixLength,
    link: options.link,
    scope: options.scope,
    validLifetime: isNamed ? NAMED_LIFETIME_S : undefined,
    noDad: options.noDad,
  };
}
