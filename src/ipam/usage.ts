import type { Family } from '../lib/ip.ts';
import type { Claims } from './claims.ts';
import { allPools, familiesOf, type Pool } from './pools.ts';
import { isUnusable, usableCount, type Range } from './ranges.ts';
import type { PoolUsage } from './types.ts';

type Data = Readonly<Record<string, string>>;

/** How full the pools of the ConfigMap are, by key and family; a key that cannot be read has none. Counts only what has changed since. */
export class UsageMeter {
  private data: Data | undefined;
  private pools: readonly Pool[] = [];
  private revision = -1;
  private last: readonly PoolUsage[] = [];

  read(data: Data, claims: Claims): readonly PoolUsage[] {
    if (this.data === data && this.revision === claims.revision) return this.last;
    if (this.data !== data) {
      this.pools = allPools(data).flatMap((found) =>
        'pool' in found && !found.pool.dhcp ? [found.pool] : [],
      );
    }
    this.data = data;
    this.revision = claims.revision;
    this.last = this.pools.flatMap((pool) =>
      [...familiesOf(pool)].map((family) => usageOf(pool, family, claims)),
    );
    return this.last;
  }
}

function usageOf(pool: Pool, family: Family, claims: Claims): PoolUsage {
  const ranges = pool.ranges.filter((range) => range.family === family);
  const size = ranges.reduce((sum, range) => sum + usableCount(range), 0n);
  const used = ranges.reduce((sum, range) => sum + usedIn(range, claims), 0);
  return { pool: pool.key, family, size: Number(size), used };
}

function usedIn({ family, first, last }: Range, claims: Claims): number {
  if (family === 6) return claims.count6(first, last);
  let count = 0;
  for (const value of claims.between(Number(first), Number(last))) if (!isUnusable(BigInt(value), 4)) count++;
  return count;
}
