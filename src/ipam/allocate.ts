import { familyOf, type Family, type Ip } from '../lib/ip.ts';
import { familiesOf, type Pool } from './pools.ts';
import { addressOf, numberOf } from './ranges.ts';

export interface ServicePort {
  readonly protocol: string;
  readonly port: number;
}

/** Addresses a Service has, with the ports it uses on them. */
export interface Claim {
  /** namespace/name */
  readonly service: string;
  readonly addresses: readonly Ip[];
  readonly ports: readonly ServicePort[];
}

export interface AddressRequest {
  readonly service: string;
  readonly ports: readonly ServicePort[];
  /** `spec.ipFamilies`, in order; empty when the API server set none. */
  readonly families: readonly Family[];
  readonly policy: 'SingleStack' | 'PreferDualStack' | 'RequireDualStack';
}

/** Closed list, used in events, logs, metrics and tests. */
export type AllocationReason = 'family-missing' | 'both-families-needed' | 'exhausted' | 'in-use';

export type Allocation =
  | { readonly addresses: readonly Ip[]; readonly warnings: readonly string[] }
  | { readonly problem: { readonly reason: AllocationReason; readonly message: string } };

/** All claims by address: who has it, and with which ports. Built once for many allocations. */
export class Claims {
  private readonly byAddress = new Map<Ip, Claim[]>();

  constructor(claims: Iterable<Claim> = []) {
    for (const claim of claims) this.add(claim);
  }

  add(claim: Claim): void {
    for (const address of claim.addresses) {
      const others = this.byAddress.get(address);
      if (others === undefined) this.byAddress.set(address, [claim]);
      else others.push(claim);
    }
  }

  remove(claim: Claim): void {
    for (const address of claim.addresses) {
      const rest = (this.byAddress.get(address) ?? []).filter(({ service }) => service !== claim.service);
      if (rest.length === 0) this.byAddress.delete(address);
      else this.byAddress.set(address, rest);
    }
  }

  isFree(address: Ip): boolean {
    return !this.byAddress.has(address);
  }

  holders(address: Ip): readonly Claim[] {
    return this.byAddress.get(address) ?? [];
  }

  addresses(): Iterable<Ip> {
    return this.byAddress.keys();
  }

  /** The first claim of another Service that uses one of these ports on this address; no port at all means every port. */
  conflict(
    address: Ip,
    request: { readonly service: string; readonly ports: readonly ServicePort[] },
  ): Claim | undefined {
    return this.holders(address).find(
      (claim) => claim.service !== request.service && overlap(claim.ports, request.ports),
    );
  }
}

function overlap(a: readonly ServicePort[], b: readonly ServicePort[]): boolean {
  if (a.length === 0 || b.length === 0) return true;
  return a.some((left) => b.some((right) => left.port === right.port && left.protocol === right.protocol));
}

/**
 * Chooses addresses for a Service. Pure: the same pool and claims always give the same answer, so a
 * restart or a second replica cannot disagree. Never an empty success.
 */
export function allocate(pool: Pool, claims: Claims, request: AddressRequest): Allocation {
  const wanted = wantedFamilies(pool, request);
  if ('problem' in wanted) return wanted;
  const found: Ip[] = [];
  const missing: string[] = [];
  for (const family of wanted.families) {
    const address = choose(pool, claims, request, family);
    if (address !== undefined) found.push(address);
    else missing.push(`no free IPv${family} address in ${pool.key} (${pool.kind} ${pool.text})`);
  }
  const complete = missing.length === 0;
  if (complete || (request.policy === 'PreferDualStack' && found.length > 0)) {
    return { addresses: found, warnings: missing };
  }
  return { problem: { reason: 'exhausted', message: `${request.service}: ${missing.join('; ')}` } };
}

/** Whether a Service may have exactly these addresses: undefined, or with whom it conflicts. */
export function checkRequested(
  claims: Claims,
  request: { readonly service: string; readonly ports: readonly ServicePort[] },
  addresses: readonly Ip[],
): { readonly reason: AllocationReason; readonly message: string } | undefined {
  for (const address of addresses) {
    const other = claims.conflict(address, request);
    if (other === undefined) continue;
    const ports = other.ports.map(({ protocol, port }) => `${protocol}/${port}`).join(', ');
    return {
      reason: 'in-use',
      message: `${address} is used by Service ${other.service}${ports === '' ? '' : ` (${ports})`}`,
    };
  }
  return undefined;
}

function wantedFamilies(
  pool: Pool,
  request: AddressRequest,
):
  | { readonly families: readonly Family[] }
  | { readonly problem: { reason: AllocationReason; message: string } } {
  const has = familiesOf(pool);
  const first = request.families[0] ?? (has.has(4) ? 4 : 6);
  if (request.policy === 'SingleStack') {
    if (has.has(first)) return { families: [first] };
    const message = `${request.service}: ${pool.key} has no IPv${first} addresses and the Service is IPv${first} only`;
    return { problem: { reason: 'family-missing', message } };
  }
  const order: readonly Family[] = first === 4 ? [4, 6] : [6, 4];
  const families = order.filter((family) => has.has(family));
  if (request.policy === 'RequireDualStack' && families.length < 2) {
    const message = `${request.service}: RequireDualStack needs an IPv4 and an IPv6 pool; ${pool.key} has only one family`;
    return { problem: { reason: 'both-families-needed', message } };
  }
  return { families };
}

function choose(pool: Pool, claims: Claims, request: AddressRequest, family: Family): Ip | undefined {
  return (
    (family === 4 && pool.allowShare ? shared(pool, claims, request) : undefined) ??
    free(pool, claims, family)
  );
}

/** The lowest address of the pool that others use on other ports only. */
function shared(pool: Pool, claims: Claims, request: AddressRequest): Ip | undefined {
  let best: bigint | undefined;
  for (const address of claims.addresses()) {
    if (familyOf(address) !== 4) continue;
    const value = numberOf(address);
    if ((best !== undefined && value >= best) || !contains(pool, value)) continue;
    if (claims.conflict(address, request) === undefined) best = value;
  }
  return best === undefined ? undefined : addressOf(best, 4);
}

function contains(pool: Pool, value: bigint): boolean {
  return pool.ranges.some(({ family, first, last }) => family === 4 && first <= value && value <= last);
}

/** First free address in search order; IPv4 ones that end in .0 or .255 are never given out. */
function free(pool: Pool, claims: Claims, family: Family): Ip | undefined {
  const ranges = pool.ranges.filter((range) => range.family === family);
  const step = pool.descending ? -1n : 1n;
  for (const { first, last } of pool.descending ? ranges.reverse() : ranges) {
    for (let value = pool.descending ? last : first; first <= value && value <= last; value += step) {
      if (family === 4 && ((value & 0xffn) === 0n || (value & 0xffn) === 0xffn)) continue;
      const address = addressOf(value, family);
      if (claims.isFree(address)) return address;
    }
  }
  return undefined;
}
