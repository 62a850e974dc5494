import type { Ip } from '../lib/ip.ts';
import { wantedAddresses } from './addresses.ts';
import { countEndpoints } from './endpoints.ts';
import { missingParts } from './missing.ts';
import {
  annotation,
  type EndpointSlice,
  type LeaseKey,
  type Service,
  type ServicesConfig,
  type WithholdReason,
} from './types.ts';

export interface Snapshot {
  readonly service: Service;
  readonly slices: Iterable<EndpointSlice>;
}

/** What a Service asks of the cluster, the same on every node: which addresses, and whose holder carries them. */
export interface Claim {
  readonly kind: 'claim';
  readonly addresses: readonly Ip[];
  readonly hostnames: readonly string[];
  /** The lease it would have if it shared no address with another Service. */
  readonly lease: LeaseKey;
  /** Link named by the Service, or `auto`; undefined: the configured one. */
  readonly link: string | undefined;
}

export interface Withhold {
  readonly kind: 'withhold';
  readonly reason: WithholdReason;
  readonly message: string;
}

/** What this node should do about one Service. `lease` says whose holder does it. */
export type Decision = (Omit<Claim, 'kind'> & { readonly kind: 'advertise' }) | Withhold;

/**
 * May this node campaign for and carry this Service? Pure: everything it depends on is an argument.
 * `node` is the lower-cased node name.
 */
export function decide({ service, slices }: Snapshot, config: ServicesConfig, node: string): Decision {
  const claim = claimOf(service, config);
  if (claim.kind === 'withhold') return claim;
  const obstacle = gate({ service, slices }, node, claim.lease !== config.globalLease);
  return obstacle ?? { ...claim, kind: 'advertise' };
}

/** Is the Service ours to handle, and what does it ask for? Needs nothing but the Service. */
export function claimOf(service: Service, config: ServicesConfig): Claim | Withhold {
  const notOurs = selection(service, config);
  if (notOurs !== undefined) return notOurs;
  const { addresses, hostnames } = wantedAddresses(service);
  if (addresses.length + hostnames.length === 0)
    return withhold('no-address', 'no controller has given it an address yet');
  const annotations = service.metadata.annotations ?? {};
  if (annotations[annotation.leaseName] !== undefined && isLocal(service)) {
    return withhold(
      'lease-policy',
      `${annotation.leaseName} needs externalTrafficPolicy Cluster: Services on one lease share a holder`,
    );
  }
  const missing = missingParts(service, { addresses, hostnames }).find(({ fatal }) => fatal);
  if (missing !== undefined) return withhold('not-implemented', missing.message);
  return {
    kind: 'claim',
    addresses,
    hostnames,
    lease: leaseOf(service, config),
    link: annotations[annotation.interface],
  };
}

/**
 * What the endpoints say against this node. `mayMove`: giving the lease up makes another node take over,
 * so a node whose last endpoint is terminating steps back while it still serves, if another is ready.
 */
export function gate({ service, slices }: Snapshot, node: string, mayMove: boolean): Withhold | undefined {
  const count = countEndpoints(slices, node);
  if (isLocal(service)) {
    if (count.onThisNode === 0) return withhold('no-local-endpoint', `no serving endpoint on ${node}`);
    if (mayMove && count.staying === 0 && count.stayingElsewhere > 0) {
      return withhold('leaving', `the last endpoint on ${node} is terminating, another node is ready`);
    }
    return undefined;
  }
  const mayBeEmpty = service.metadata.annotations?.[annotation.withoutEndpoints]?.toLowerCase() === 'true';
  return count.anywhere === 0 && !mayBeEmpty
    ? withhold('no-endpoints', 'no serving endpoint anywhere')
    : undefined;
}

export function isLocal(service: Service): boolean {
  return service.spec?.externalTrafficPolicy === 'Local';
}

function selection(service: Service, config: ServicesConfig): Withhold | undefined {
  if (service.spec?.type !== 'LoadBalancer')
    return withhold('not-a-load-balancer', `type is ${service.spec?.type ?? 'not set'}`);
  if (service.metadata.annotations?.[annotation.ignore] === 'true')
    return withhold('ignored', `annotated ${annotation.ignore}`);
  const loadBalancerClass = service.spec.loadBalancerClass;
  if (classMatches(loadBalancerClass, config)) return undefined;
  return withhold(
    'class-mismatch',
    `class ${loadBalancerClass ?? 'not set'}, wanted ${config.className === '' ? 'none' : config.className}`,
  );
}

function classMatches(loadBalancerClass: string | undefined, config: ServicesConfig): boolean {
  if (loadBalancerClass !== undefined) return loadBalancerClass === config.className;
  return config.legacyClass ? !config.classOnly : config.className === '';
}

/** Which lease decides: the Service's own when asked for, else the global one. */
export function leaseOf(service: Service, config: ServicesConfig): LeaseKey {
  const { name = '', namespace = '', annotations } = service.metadata;
  const forced = config.electionOnDemand && annotations?.[annotation.forceElection] === 'true';
  if (!config.perServiceElection && !forced) return config.globalLease;
  const shared = annotations?.[annotation.leaseName];
  if (shared === undefined || shared === '') return `${namespace}/kubevip-${name}`;
  return shared.includes('/') ? shared : `${namespace}/${shared}`;
}

function withhold(reason: WithholdReason, message: string): Withhold {
  return { kind: 'withhold', reason, message };
}
