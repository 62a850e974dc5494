import { familyOf, parseIp, type Ip } from '../lib/ip.ts';
import { listedItems } from '../lib/text-list.ts';
import { clip, quote } from '../lib/text.ts';
import { allocate, checkRequested } from './allocate.ts';
import type { Claim, Claims } from './claims.ts';
import type { Pool, PoolLookup, PoolProblem } from './pools.ts';
import { numberOf } from './ranges.ts';
import {
  annotation,
  type Candidate,
  type Change,
  type IpamOptions,
  type Notice,
  type RefusalReason,
} from './types.ts';

/** What there is to do about one Service. */
export type Verdict =
  /** `notice`: all is written, but a user should know this. */
  | { readonly kind: 'nothing'; readonly notice?: Notice }
  | {
      readonly kind: 'write';
      readonly change: Change;
      /** What the Service has from now on. */
      readonly addresses: readonly Ip[];
      readonly notices: readonly (Notice & { readonly about: RefusalReason })[];
      /** Told when it is written. */
      readonly success: string | undefined;
    }
  /** Nothing is written; it is looked at again when something changes that could help. */
  | { readonly kind: 'refuse'; readonly reason: RefusalReason; readonly notice: Notice };

/** What a decision depends on beside the Service. While one without an address is decided, `claims` must not hold its own. */
export interface World {
  readonly claims: Claims;
  pool(namespace: string): PoolLookup;
  readonly options: IpamOptions;
}

/** The reason of an Event, for each reason to refuse. */
const words: Readonly<Record<RefusalReason, string>> = {
  'no-pool': 'NoAddressPool',
  'empty-pool': 'EmptyAddressPool',
  'bad-pool': 'MalformedAddressPool',
  'family-missing': 'NoAddressOfFamily',
  'both-families-needed': 'NoAddressOfFamily',
  exhausted: 'AddressPoolExhausted',
  'in-use': 'AddressRefused',
  malformed: 'MalformedAddress',
  'outside-pools': 'AddressOutsidePools',
  'spec-differs': 'AddressNotChanged',
};

const hostname =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i;

/** Pure: the same Service, claims and pools always give the same verdict. */
export function decide(service: Candidate, world: World): Verdict {
  if (!service.isOurs || service.isDeleting) return letGo(service);
  if (service.asked !== '') return keepAsked(service, world);
  if (service.askedInSpec !== '') return takeFromSpec(service, world);
  return assign(service, world);
}

/**
 * Addresses that nobody else may be given while this Service is there. Our label counts without the type: who is made
 * a LoadBalancer again still has the annotation, and its address must not be another's by then.
 */
export function claimOf(service: Candidate, granted: readonly Ip[]): Claim | undefined {
  if (!service.isLoadBalancer && !service.isLabelled) return undefined;
  const { addresses: asked } = readAddresses(service.asked === '' ? service.askedInSpec : service.asked);
  const shown = service.isLoadBalancer ? service.inStatus : [];
  const addresses = [...new Set([...asked, ...shown, ...granted])].filter(isSpecified);
  if (addresses.length === 0) return undefined;
  // Speakers put what was chosen by hand on the network without asking us: being in the status decides nothing.
  const isWish =
    service.isOurs &&
    !service.isLabelled &&
    granted.length === 0 &&
    (asked.length > 0 || service.inStatus.length === 0);
  const claim = { service: service.key, addresses, ports: service.ports };
  return isWish ? { ...claim, kind: 'wish' } : claim;
}

/**
 * It is going, or is not ours any more: our finalizer must not hold it. Who stays keeps our label, and by that its
 * address as long as it names it. Controllers for other classes have the same finalizer, and those of kube-vip the same
 * label: what is theirs and stays is left alone.
 */
function letGo({ hasFinalizer, isDeleting, isLabelled, isOfOthers, isOurs }: Candidate): Verdict {
  if (!hasFinalizer || (!isLabelled && !isOurs) || (isOfOthers && !isDeleting)) return { kind: 'nothing' };
  return {
    kind: 'write',
    change: { label: isDeleting ? 'remove' : 'keep', finalizer: 'remove' },
    addresses: [],
    notices: [],
    success: undefined,
  };
}

/** The annotation is there, from us or by hand: it stays, and counts. */
function keepAsked(service: Candidate, world: World): Verdict {
  const isDone = service.isLabelled && (service.hasFinalizer || !world.options.addFinalizer);
  const { addresses, malformed } = readAddresses(service.asked);
  if (malformed !== undefined) return refuseMalformed(`annotation ${annotation.addresses}`, malformed);
  const conflict = checkRequested(world.claims, request(service), addresses);
  const remark = differsFromSpec(service) ?? lacksFamily(service, addresses);
  if (isDone) {
    const notice = conflict === undefined ? remark : clash(conflict);
    return notice === undefined ? { kind: 'nothing' } : { kind: 'nothing', notice };
  }
  if (conflict !== undefined) return refuseInUse(conflict);
  return {
    kind: 'write',
    change: { label: 'set', finalizer: finalizerOf(world) },
    addresses,
    notices: service.isLabelled ? [] : outside(service, addresses, world),
    success: undefined,
  };
}

/** `spec.loadBalancerIP` was edited; the annotation, which counts, was not. */
function differsFromSpec({ asked, askedInSpec }: Candidate): Notice | undefined {
  if (askedInSpec === '') return undefined;
  const wanted = parseIp(askedInSpec) ?? askedInSpec;
  const isThere = listedItems(asked).items.some((item) => (parseIp(item) ?? item) === wanted);
  if (isThere) return undefined;
  return warning(
    'spec-differs',
    `spec.loadBalancerIP ${quote(askedInSpec)} is not used, the annotation ${annotation.addresses} says ${quote(asked)}: change or remove the one that is old`,
  );
}

/** Both families became a must after the addresses were given. */
function lacksFamily({ asked, policy }: Candidate, addresses: readonly Ip[]): Notice | undefined {
  const hasNames = listedItems(asked).items.length > addresses.length;
  if (policy !== 'RequireDualStack' || hasNames || !addresses.every(isSpecified)) return undefined;
  const missing = ([4, 6] as const).find((family) => addresses.every((each) => familyOf(each) !== family));
  if (missing === undefined) return undefined;
  return warning(
    'both-families-needed',
    `RequireDualStack, but ${annotation.addresses} has no IPv${missing} address: add one, or remove it and spec.loadBalancerIP to be given both`,
  );
}

/** Someone asked by `spec.loadBalancerIP`: that becomes the annotation. */
function takeFromSpec(service: Candidate, world: World): Verdict {
  const { addresses, malformed } = readAddresses(service.askedInSpec);
  if (malformed !== undefined) return refuseMalformed('spec.loadBalancerIP', malformed);
  const conflict = checkRequested(world.claims, request(service), addresses);
  if (conflict !== undefined) return refuseInUse(conflict);
  return {
    kind: 'write',
    change: {
      label: 'set',
      finalizer: finalizerOf(world),
      annotation: service.askedInSpec,
      dropLegacyLabel: true,
    },
    addresses,
    notices: outside(service, addresses, world),
    success: undefined,
  };
}

function assign(service: Candidate, world: World): Verdict {
  const found = world.pool(service.metadata.namespace ?? '');
  if ('problem' in found) return refusePool(found.problem, world);
  const { pool } = found;
  const given = pool.dhcp ? dhcp : allocate(pool, world.claims, request(service));
  if ('problem' in given) return refuse(given.problem.reason, given.problem.message);
  const [first = ''] = given.addresses;
  const text = given.addresses.join(',');
  const wantsLink = pool.interfaceName !== undefined && service.interfaceName === '';
  return {
    kind: 'write',
    change: {
      label: 'set',
      finalizer: finalizerOf(world),
      annotation: text,
      loadBalancerIP: first,
      dropLegacyLabel: true,
      ...(wantsLink ? { interfaceName: pool.interfaceName } : {}),
    },
    addresses: given.addresses.filter(isSpecified),
    notices: given.warnings.map((message) => ({ ...warning('exhausted', message), about: 'exhausted' })),
    success: `${text} from ${pool.key}`,
  };
}

const dhcp = { addresses: ['0.0.0.0' as Ip], warnings: [] } as const;

function request({ key, ports, families, policy }: Candidate) {
  return { service: key, ports, families, policy };
}

function finalizerOf({ options }: World): 'add' | 'keep' {
  return options.addFinalizer ? 'add' : 'keep';
}

/** The addresses in a comma list; host names are the speaker's. `malformed`: the first item that is neither. */
function readAddresses(list: string): {
  readonly addresses: readonly Ip[];
  readonly malformed: string | undefined;
} {
  const addresses: Ip[] = [];
  let malformed: string | undefined;
  // As many as are put on the network.
  const { items } = listedItems(list);
  for (const item of items) {
    const address = parseIp(item);
    if (address !== undefined) addresses.push(address);
    else if (!isHostname(item)) malformed ??= item;
  }
  if (items.length === 0) malformed = list;
  return { addresses, malformed };
}

/** What ends in a number is meant to be an address. */
function isHostname(text: string): boolean {
  return hostname.test(text) && !/(?:^|\.)\d+\.?$/.test(text);
}

/** `0.0.0.0` and `::` stand for DHCP, and nobody has them. */
function isSpecified(address: Ip): boolean {
  return address !== '0.0.0.0' && address !== '::';
}

/** Addresses that people chose although no pool of their namespace has them. They are theirs, but may be a slip. */
function outside(
  service: Candidate,
  addresses: readonly Ip[],
  world: World,
): readonly (Notice & { readonly about: RefusalReason })[] {
  const found = world.pool(service.metadata.namespace ?? '');
  if ('problem' in found) return [];
  const { pool } = found;
  const strange = addresses.filter((address) => isSpecified(address) && !isIn(pool, address));
  if (strange.length === 0) return [];
  const what = `${clip(strange.join(', '))} ${strange.length === 1 ? 'is' : 'are'} not in ${pool.key} (${clip(pool.text)})`;
  const message = `${what}; ${strange.length === 1 ? 'it is used because it was' : 'they are used because they were'} chosen by hand`;
  return [{ ...warning('outside-pools', message), about: 'outside-pools' }];
}

function isIn(pool: Pool, address: Ip): boolean {
  const family = familyOf(address);
  const value = numberOf(address);
  return pool.ranges.some((range) => range.family === family && range.first <= value && value <= range.last);
}

/** Ports or annotations were changed by hand; whoever has the address keeps it. */
function clash({ message }: { readonly message: string }): Notice {
  return {
    type: 'Warning',
    reason: 'AddressConflict',
    message: `has an address on ports of another: ${message}`,
  };
}

function refusePool({ reason, message }: PoolProblem, { options }: World): Verdict {
  const { namespace, name } = options.configMap;
  return refuse(reason, `${message} (ConfigMap ${namespace}/${name})`);
}

function refuseMalformed(field: string, value: string): Verdict {
  return refuse('malformed', `${field}: ${quote(value)} is neither an address nor a host name`);
}

function refuseInUse({ message }: { readonly message: string }): Verdict {
  return refuse('in-use', `asks for what another has: ${message}`);
}

function refuse(reason: RefusalReason, message: string): Verdict {
  return { kind: 'refuse', reason, notice: warning(reason, message) };
}

function warning(reason: RefusalReason, message: string): Notice {
  return { type: 'Warning', reason: words[reason], message };
}
