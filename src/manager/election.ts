import type { Config } from '../config/index.ts';
import {
  createElection,
  createKubeLeaseStore,
  leaseLocation,
  watchLeaseWith,
  type Election,
  type LeaseStore,
} from '../election/index.ts';
import { createReflector, leases, nameSelector, type Lease, type ReflectorStatus } from '../kube/index.ts';
import type { Clock, Random } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Api } from './api.ts';

export interface ControlPlaneElection {
  readonly election: Election;
  readonly store: LeaseStore;
  /** State of the watch on the Lease; undefined while none is running. */
  watch(): ReflectorStatus | undefined;
}

/** The election over the control-plane Lease, with a watch on it. */
export function controlPlaneElection(
  config: Config,
  identity: string,
  api: Api,
  parts: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): ControlPlaneElection {
  const location = leaseLocation({
    leaseName: config.leaseName,
    serviceAccountNamespace: api.podNamespace,
    controlPlaneNamespace: config.namespace,
  });
  if (location.warning !== undefined) parts.log.warn(location.warning);
  const { namespace, name } = location;
  let watch: (() => ReflectorStatus) | undefined;
  const watchLease = watchLeaseWith((listener) => {
    const options = { resource: leases, namespace, fieldSelector: nameSelector(name), listener };
    const reflector = createReflector<Lease>({ client: api.client, ...parts }, options);
    watch = () => reflector.status();
    return reflector;
  });
  const store = createKubeLeaseStore(
    { client: api.client, watchLease },
    { namespace, name, annotations: config.leaseAnnotations },
  );
  const election = createElection(
    { store, ...parts },
    {
      identity,
      leaseDurationMs: config.leaseDuration * 1000,
      renewDeadlineMs: config.renewDeadline * 1000,
      retryPeriodMs: config.retryPeriod * 1000,
    },
  );
  parts.log.info('cluster membership', { namespace, lock: name, id: identity });
  return { election, store, watch: () => watch?.() };
}
