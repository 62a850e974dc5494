import type { Config } from '../config/index.ts';
import {
  createElection,
  createElectionPool,
  createKubeLeaseStore,
  leaseLocation,
  watchLeaseWith,
  type Election,
  type ElectionPool,
  type LeaseLocation,
  type LeaseStore,
  type WatchLease,
} from '../election/index.ts';
import { createReflector, leases, nameSelector, type Lease, type ReflectorStatus } from '../kube/index.ts';
import type { Clock, Random } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Api } from './api.ts';
import { urgently, type Urgency } from './urgency.ts';

export interface ControlPlaneElection {
  readonly election: Election;
  readonly store: LeaseStore;
  /** Hands out elections over Leases that several parts may name, this one among them. */
  readonly pool: ElectionPool;
  /** State of the watch on the Lease; undefined while none is running. */
  watch(): ReflectorStatus | undefined;
}

type Place = Pick<LeaseLocation, 'namespace' | 'name'>;

interface Tools {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Undefined in the cloud controller, which has no VIPs. */
  readonly urgency?: Urgency;
}

/** The election over the control-plane Lease, with a watch on it. */
export function controlPlaneElection(
  config: Config,
  identity: string,
  api: Api,
  parts: Tools,
): ControlPlaneElection {
  const location = placeOfLease(config.leaseName, config, api, parts.log);
  let watch: (() => ReflectorStatus) | undefined;
  const watchOf = (place: Place): WatchLease =>
    watchLeaseWith(place, (listener) => {
      const { namespace, name } = place;
      const options = { resource: leases, namespace, fieldSelector: nameSelector(name), listener };
      const reflector = createReflector<Lease>({ client: api.client, ...parts }, options);
      if (samePlace(place, location)) watch = () => reflector.status();
      return reflector;
    });
  const store = createKubeLeaseStore(
    { client: api.client, watchLease: watchOf(location) },
    { ...location, annotations: config.leaseAnnotations },
  );
  const pool = createElectionPool((place) =>
    samePlace(place, location)
      ? electionOver(store, config, identity, parts)
      : electionAt(place, watchOf(place), config, identity, api, parts),
  );
  return { election: pool.election(location), store, pool, watch: () => watch?.() };
}

/** An election over some Lease, with the timings and annotations of the configuration. */
export function electionAt(
  place: Place,
  watchLease: WatchLease,
  config: Config,
  identity: string,
  api: Api,
  parts: Tools,
): Election {
  const { namespace, name } = place;
  const options = { namespace, name, annotations: config.leaseAnnotations };
  return electionOver(
    createKubeLeaseStore({ client: api.client, watchLease }, options),
    config,
    identity,
    parts,
  );
}

function electionOver(store: LeaseStore, config: Config, identity: string, parts: Tools): Election {
  const election = createElection(
    { store, ...parts },
    {
      identity,
      leaseDurationMs: config.leaseDuration * 1000,
      renewDeadlineMs: config.renewDeadline * 1000,
      retryPeriodMs: config.retryPeriod * 1000,
    },
  );
  return parts.urgency === undefined ? election : urgently(election, parts.urgency);
}

/** Where a Lease lies that a setting names (`name` or `namespace/name`); logs what is worth knowing about it. */
export function placeOfLease(leaseName: string, config: Config, api: Api, log: Logger): Place {
  const { namespace, name, warning } = leaseLocation({
    leaseName,
    serviceAccountNamespace: api.podNamespace,
    controlPlaneNamespace: config.namespace,
  });
  if (warning !== undefined) log.warn(warning);
  return { namespace, name };
}

function samePlace(a: Place, b: Place): boolean {
  return a.namespace === b.namespace && a.name === b.name;
}
