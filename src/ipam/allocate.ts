import type { Family, Ip } from '../lib/ip.ts';
import { clip } from '../lib/text.ts';
import { overlap, type Claim, type Claims, type ServicePort } from './claims.ts';
import { familiesOf, type Pool } from './pools.ts';
import { addressOf, isUnusable } from './ranges.ts';

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
    else missing.push(`no free IPv${family} address in ${pool.key} (${pool.kind} ${clip(pool.text)})`);
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
    const other = claims
      .holders(address)
      .find(
        ({ service, ports, kind }) =>
          kind !== 'wish' && service !== request.service && overlap(ports, request.ports),
      );
    if (other !== undefined) return { reason: 'in-use', message: `${address} ${usedBy(other)}` };
  }
  return undefined;
}

function usedBy({ service, kind, ports }: Claim): string {
  if (kind === 'reserved') return `is an address of ${service}`;
  const list = ports.map(({ protocol, port }) => `${protocol}/${port}`).join(', ');
  return `is used by Service ${service}${list === '' ? '' : ` (${list})`}`;
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
  const ports = request.ports.map(({ protocol, port }) => `${protocol}/${port}`).toSorted();
  const name = `${pool.id} share ${ports.join()}`;
  const from = claims.mark(name) ?? 0n;
  const mark = { family: 4, descending: false, sharing: true } as const;
  for (const { family, first, last } of pool.ranges) {
    if (family !== 4 || last < from) continue;
    for (const value of claims.between(Number(from > first ? from : first), Number(last))) {
      const address = addressOf(BigInt(value), 4);
      // Its user chose it by hand; that is no reason to give it to others.
      if (isUnusable(BigInt(value), 4)) continue;
      if (claims.conflict(address, request) !== undefined) continue;
      claims.setMark(name, { ...mark, at: BigInt(value) });
      return address;
    }
  }
  claims.setMark(name, { ...mark, at: 1n << 32n });
  return undefined;
}

/** First free address in search order; IPv4 ones that end in .0 or .255 are never given out. */
function free(pool: Pool, claims: Claims, family: Family): Ip | undefined {
  const { descending } = pool;
  const ranges = pool.ranges.filter((range) => range.family === family);
  const step = descending ? -1n : 1n;
  const name = `${pool.id} free ${family}`;
  const from = claims.mark(name);
  const leave = (at: bigint): void => {
    claims.setMark(name, { family, descending, sharing: false, at });
  };
  for (const { first, last } of descending ? ranges.toReversed() : ranges) {
    const start = descending ? smaller(from, last) : larger(from, first);
    for (let value = start; first <= value && value <= last; value += step) {
      if (isUnusable(value, family)) continue;
      const address = addressOf(value, family);
      if (!claims.isFree(address)) continue;
      leave(value);
      return address;
    }
  }
  leave(descending ? -1n : 1n << 128n);
  return undefined;
}

function smaller(mark: bigint | undefined, value: bigint): bigint {
  return mark !== undefined && mark < value ? mark : value;
}

function larger(mark: bigint | undefined, value: bigint): bigint {
  return mark !== undefined && mark > value ? mark : value;
}
