import { familyOf, type Family } from '../lib/ip.ts';
import type { Claims } from './claims.ts';
import { allPools, familiesOf, type Pool } from './pools.ts';
import { isUnusable, numberOf, usableCount, type Range } from './ranges.ts';
import type { PoolUsage } from './types.ts';

/** How full the pools of the ConfigMap are, by key and family; a key that cannot be read has none. */
export function poolUsage(data: Readonly<Record<string, string>>, claims: Claims): readonly PoolUsage[] {
  const sixes = [...claims.addresses()].filter((address) => familyOf(address) === 6).map(numberOf);
  return allPools(data).flatMap((found) =>
    'pool' in found && !found.pool.dhcp
      ? [...familiesOf(found.pool)].map((family) => usageOf(found.pool, family, claims, sixes))
      : [],
  );
}

function usageOf(pool: Pool, family: Family, claims: Claims, sixes: readonly bigint[]): PoolUsage {
  const ranges = pool.ranges.filter((range) => range.family === family);
  const size = ranges.reduce((sum, range) => sum + usableCount(range), 0n);
  const used = ranges.reduce(
    (sum, range) =>
      sum + (family === 4 ? usedIn(range, claims) : sixes.filter((value) => isIn(range, value)).length),
    0,
  );
  return { pool: pool.key, family, size: Number(size), used };
}

function usedIn({ first, last }: Range, claims: Claims): number {
  let count = 0;
  for (const value of claims.between(Number(first), Number(last))) if (!isUnusable(BigInt(value), 4)) count++;
  return count;
}

function isIn({ first, last }: Range, value: bigint): boolean {
  return first <= value && value <= last;
}
