import type { Ip } from '../lib/ip.ts';
import { wantedAddresses } from './addresses.ts';
import { countEndpoints } from './endpoints.ts';
import {
  annotation,
  type EndpointSlice,
  type Service,
  type ServicesConfig,
  type WithholdReason,
} from './types.ts';

export interface Snapshot {
  readonly service: Service;
  readonly slices: Iterable<EndpointSlice>;
}

/** What this node should do about one Service. `lease` says whose holder does it. */
export type Decision =
  | {
      readonly kind: 'advertise';
      readonly addresses: readonly Ip[];
      readonly hostnames: readonly string[];
      /** `namespace/name` of the lease whose holder puts the addresses on the network. */
      readonly lease: string;
      /** Link named by the Service, or `auto`; undefined: the configured one. */
      readonly link: string | undefined;
    }
  | { readonly kind: 'withhold'; readonly reason: WithholdReason; readonly message: string };

/**
 * May this node campaign for and carry this Service? Pure: everything it depends on is an argument.
 * `node` is the lower-cased node name.
 */
export function decide({ service, slices }: Snapshot, config: ServicesConfig, node: string): Decision {
  const notOurs = selection(service, config);
  if (notOurs !== undefined) return notOurs;
  const { addresses, hostnames } = wantedAddresses(service);
  if (addresses.length + hostnames.length === 0)
    return withhold('no-address', 'no controller has given it an address yet');
  const annotations = service.metadata.annotations ?? {};
  const isLocal = service.spec?.externalTrafficPolicy === 'Local';
  if (annotations[annotation.leaseName] !== undefined && isLocal) {
    return withhold(
      'lease-policy',
      `${annotation.leaseName} needs externalTrafficPolicy Cluster: Services on one lease share a holder`,
    );
  }
  const count = countEndpoints(slices, node);
  if (isLocal && count.onThisNode === 0)
    return withhold('no-local-endpoint', `no serving endpoint on ${node}`);
  const mayBeEmpty = annotations[annotation.withoutEndpoints]?.toLowerCase() === 'true';
  if (count.anywhere === 0 && !mayBeEmpty) return withhold('no-endpoints', 'no serving endpoint anywhere');
  return {
    kind: 'advertise',
    addresses,
    hostnames,
    lease: leaseOf(service, config),
    link: annotations[annotation.interface],
  };
}

function selection(service: Service, config: ServicesConfig): Decision | undefined {
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
export function leaseOf(service: Service, config: ServicesConfig): string {
  const { name = '', namespace = '', annotations } = service.metadata;
  const forced = config.electionOnDemand && annotations?.[annotation.forceElection] === 'true';
  if (!config.perServiceElection && !forced) return config.globalLease;
  const shared = annotations?.[annotation.leaseName];
  if (shared === undefined || shared === '') return `${namespace}/kubevip-${name}`;
  return shared.includes('/') ? shared : `${namespace}/${shared}`;
}

function withhold(reason: WithholdReason, message: string): Decision {
  return { kind: 'withhold', reason, message };
}
