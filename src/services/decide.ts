import type { Ip } from '../lib/ip.ts';
import { quote } from '../lib/text.ts';
import { wantedAddresses, type WantedAddresses } from './addresses.ts';
import { countEndpoints } from './endpoints.ts';
import { missingParts } from './missing.ts';
import { noNames, pickAddresses, type NameFamilies, type NameView } from '../lib/names.ts';
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
  /** Those of them that are addresses of a name. */
  readonly fromNames: ReadonlySet<Ip>;
  /** The names whose addresses it wants. */
  readonly hostnames: readonly string[];
  /** What of the Service's wishes cannot be had, in words that name the field; the rest is served. */
  readonly troubles: readonly Trouble[];
  /** The lease it would have if it shared no address with another Service. */
  readonly lease: LeaseKey;
  /** Where its addresses stand, in words for its user. */
  readonly field: string;
  /** Link named by the Service, or `auto`; undefined: the configured one. */
  readonly link: string | undefined;
}

export interface Trouble {
  readonly reason: 'invalid-address' | 'unresolved';
  readonly message: string;
}

export interface Withhold {
  readonly kind: 'withhold';
  readonly reason: WithholdReason;
  readonly message: string;
  /** Other nodes have what this one lacks. */
  readonly servesElsewhere?: boolean;
  /** The names that may have an address for it yet. */
  readonly hostnames?: readonly string[];
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
  const moving = { mayMove: claim.lease !== config.globalLease, isSettled: () => true };
  const obstacle = gate({ service, slices }, node, moving);
  return obstacle ?? { ...claim, kind: 'advertise' };
}

/** Is the Service ours to handle, and what does it ask for? Needs nothing but the Service and its names' addresses. */
export function claimOf(
  service: Service,
  config: ServicesConfig,
  names: NameView = noNames,
): Claim | Withhold {
  const notOurs = selection(service, config);
  if (notOurs !== undefined) return notOurs;
  const wanted = wantedAddresses(service);
  const annotations = service.metadata.annotations ?? {};
  if (wanted.addresses.length + wanted.hostnames.length + wanted.invalid.length === 0) {
    const isEmpty = annotations[annotation.addresses] !== undefined;
    const why = isEmpty ? `${annotation.addresses} is empty` : 'no controller has given it an address yet';
    return withhold('no-address', why);
  }
  if (annotations[annotation.leaseName] !== undefined && isLocal(service)) {
    return withhold(
      'lease-policy',
      `${annotation.leaseName} needs externalTrafficPolicy Cluster: Services on one lease share a holder`,
    );
  }
  const lease = leaseOf(service, config);
  if (!isLeaseKey(lease))
    return withhold(
      'invalid-lease',
      `${annotation.leaseName}: ${quote(annotations[annotation.leaseName] ?? '')} is neither name nor namespace/name of a Lease`,
    );
  const missing = missingParts(service, wanted.addresses).find(({ fatal }) => fatal);
  if (missing !== undefined) return withhold('not-implemented', missing.message);
  const { addresses, troubles } = resolved(wanted, familiesOf(service, config), names);
  const { hostnames } = wanted;
  const [trouble] = troubles;
  if (addresses.length === 0) {
    const resolving = withhold('resolving', `${hostnames.join()}: being resolved`);
    return { ...(trouble === undefined ? resolving : { kind: 'withhold', ...trouble }), hostnames };
  }
  return {
    kind: 'claim',
    addresses,
    fromNames: new Set(addresses.filter((address) => !wanted.addresses.includes(address))),
    hostnames,
    troubles,
    lease,
    field: wanted.field,
    link: annotations[annotation.interface],
  };
}

/** What moving to another node depends on. */
export interface Moving {
  /** Giving the lease up makes another node take over. */
  readonly mayMove: boolean;
  /** Has the node had an endpoint of the Service long enough for its kube-proxy to know it? */
  readonly isSettled: (node: string) => boolean;
  /** May this node step back for that one? Default: where it is settled. */
  readonly mayTake?: (node: string) => boolean;
}

/** The wanted addresses with those of names, without repeats. */
function resolved(
  { addresses, hostnames, invalid, field }: WantedAddresses,
  families: NameFamilies,
  names: NameView,
): { readonly addresses: readonly Ip[]; readonly troubles: readonly Trouble[] } {
  const all = new Set(addresses);
  const troubles = invalid.map((message): Trouble => ({ reason: 'invalid-address', message }));
  for (const name of hostnames) {
    const answer = names.answerOf(name);
    if (answer === undefined) continue;
    const picked = 'problem' in answer ? answer.problem : pickAddresses(answer.addresses, families);
    if (typeof picked === 'string')
      troubles.push({ reason: 'unresolved', message: `${field}: ${name} has no address for us: ${picked}` });
    else for (const address of picked) all.add(address);
  }
  return { addresses: [...all], troubles };
}

/** `spec.ipFamilies` says which addresses of a name are wanted; without it `dns_mode` does. */
function familiesOf({ spec }: Service, { dnsMode }: ServicesConfig): NameFamilies {
  const [first, second] = spec?.ipFamilies ?? [];
  if (second !== undefined) return spec?.ipFamilyPolicy === 'RequireDualStack' ? 'both' : 'dual';
  if (first === undefined) return dnsMode;
  return first === 'IPv6' ? 'ipv6' : 'ipv4';
}

/**
 * What the endpoints say against this node. Where the VIP may move it does so while both nodes serve: one whose last
 * endpoint is terminating steps back as soon as another is settled, and one that is not yet settled waits for that.
 */
export function gate({ service, slices }: Snapshot, node: string, moving: Moving): Withhold | undefined {
  const { mayMove, isSettled, mayTake } = moving;
  const count = countEndpoints(slices, node, isSettled, mayTake);
  if (isLocal(service)) {
    if (count.onThisNode === 0) {
      const why = withhold('no-local-endpoint', `no serving endpoint on ${node}`);
      return { ...why, servesElsewhere: count.anywhere > 0 };
    }
    if (mayMove && !isSettled(node) && count.servingElsewhere > 0) {
      return withhold('settling', `the endpoint on ${node} is new, another node serves`);
    }
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
  const { namespace = '', annotations } = service.metadata;
  const forced = config.electionOnDemand && annotations?.[annotation.forceElection] === 'true';
  if (!config.perServiceElection && !forced) return config.globalLease;
  const shared = annotations?.[annotation.leaseName];
  if (shared === undefined || shared === '') return ownLeaseOf(service);
  return shared.includes('/') ? shared : `${namespace}/${shared}`;
}

/** The node that last said that it has the Service; '' when none has. */
export function vipHostOf({ metadata }: Service): string {
  return metadata.annotations?.[annotation.vipHost] ?? '';
}

/**
 * The lease by which another node may have a Service that this one, `node`, has not heard of before, so that it missed
 * how it came under `lease`: its own.
 */
export function leaseBefore(service: Service, lease: LeaseKey, node: string): LeaseKey | undefined {
  const host = vipHostOf(service);
  const own = ownLeaseOf(service);
  return host === '' || host === node || lease === own ? undefined : own;
}

/** The lease of a Service that names none. */
export function ownLeaseOf({ metadata: { name = '', namespace = '' } }: Service): LeaseKey {
  return `${namespace}/kubevip-${name}`;
}

/**
 * `namespace/name` as the API server takes them: a label, and a subdomain (RFC 1123), of which it bounds the whole
 * and not the labels.
 */
function isLeaseKey(lease: LeaseKey): boolean {
  const [namespace = '', name = '', ...more] = lease.split('/');
  if (more.length > 0 || namespace.length > 63 || name.length > 253) return false;
  return isLabel(namespace) && name.split('.').every(isLabel);
}

/** Of any length. */
function isLabel(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text);
}

function withhold(reason: WithholdReason, message: string): Withhold {
  return { kind: 'withhold', reason, message };
}
