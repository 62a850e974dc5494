import {
  controlPlaneNames,
  controlPlanePrefixLength,
  controlPlaneVips,
  type Config,
} from '../config/index.ts';
import { NamedVips } from '../control-plane/index.ts';
import { aborted } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { ResolveName } from '../lib/names.ts';
import type { Logger } from '../lib/log.ts';
import { StartError } from './errors.ts';

/** A start waits so long for name servers. */
const RESOLVE_LIMIT_MS = 15_000;

/**
 * The control-plane VIPs, those of names once these were answered for, by DNS or, with `vip_ddns`, by DHCP. None where
 * there is no control plane.
 */
export function openControlPlaneVips(
  config: Config,
  parts: { readonly resolve: ResolveName; readonly clock: Clock; readonly log: Logger },
): NamedVips {
  const isOn = config.enableControlPlane;
  return new NamedVips(parts, {
    fixed: isOn ? controlPlaneVips(config) : [],
    names: isOn && !config.ddns ? controlPlaneNames(config) : [],
    families: config.dnsMode,
    prefixLength: (vip) => controlPlanePrefixLength(config, vip),
  });
}

/**
 * Asks for the names, and waits until each has a VIP.
 *
 * @throws StartError when one has none, or the signal aborts.
 */
export async function resolveControlPlane(
  vips: NamedVips,
  config: Config,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (vips.missing().length === 0) return;
  const enough = new AbortController();
  const leave = vips.follow(() => {
    if (vips.missing().every(({ problem }) => problem !== undefined)) enough.abort();
  });
  vips.start();
  const limit = clock.after('names-at-start', RESOLVE_LIMIT_MS, () => {
    enough.abort();
  });
  await aborted(AbortSignal.any([enough.signal, signal]));
  limit.cancel();
  leave();
  const [missing] = vips.missing();
  if (missing === undefined) return;
  const setting = config.address === '' ? 'vip_address' : 'address';
  const problem = missing.problem ?? `no name server answered within ${RESOLVE_LIMIT_MS / 1000} s`;
  throw new StartError(
    `${setting}: no VIP for ${missing.name} (dns_mode=${config.dnsMode}): ${problem}; add the name to DNS or to the hosts file of this node, or write the address itself`,
  );
}

/** The addresses of the VIPs of now. */
export function ipsOf(vips: Pick<NamedVips, 'now'>): ReadonlySet<Ip> {
  return new Set(vips.now().map(({ vip }) => vip));
}
