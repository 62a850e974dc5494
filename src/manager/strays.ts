import { KubeError, leases, services as serviceResource, type Lease } from '../kube/index.ts';
import type { Ip } from '../lib/ip.ts';
import { projectService, removeStrays } from '../services/index.ts';
import { ipsOf } from './control-plane-vips.ts';
import { placeOfLease } from './election.ts';
import { servicesMark } from './instance.ts';
import type { Parts } from './parts.ts';

/** Where `svc_enable` is off: removes VIPs of Services that are on this node and certainly another node's. */
export async function removeStrayServices(parts: Parts, signal: AbortSignal): Promise<void> {
  const { api, clock, config, controlPlaneVips, identity, log, node } = parts;
  if (config.enableServices) return;
  const own = ipsOf(controlPlaneVips);
  const mark = servicesMark(config);
  const vips = (): readonly Ip[] =>
    node
      .leftovers()
      .flatMap(({ address: { address, protocol } }) =>
        protocol === mark && !own.has(address) ? [address] : [],
      );
  // As a rule; nothing is said then of a lease that nobody here uses.
  if (vips().length === 0) return;
  const place = placeOfLease(config.servicesLeaseName, config, api, log);
  await removeStrays(
    {
      vips,
      remove: (gone) => {
        node.sweep(({ address }) => address.protocol === mark && gone.has(address.address));
      },
      services: async (within) => {
        const { items } = await api.client.list(serviceResource, { signal: within });
        return items.map(projectService);
      },
      lease: async (key, within) => {
        const [namespace = '', name = ''] = key.split('/');
        try {
          const found = await api.client.get<Lease>(leases, { namespace, name }, { signal: within });
          const { metadata, spec } = found;
          return { holder: spec?.holderIdentity ?? '', version: metadata.resourceVersion ?? '' };
        } catch (error) {
          if (error instanceof KubeError && error.kind === 'not-found') return undefined;
          throw error;
        }
      },
      clock,
      log,
    },
    {
      node: identity,
      globalLease: `${place.namespace}/${place.name}`,
      periodMs: config.leaseDuration * 1000,
    },
    signal,
  );
}
