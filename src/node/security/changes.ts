import type { NftStep, NftTable } from '../../linux/index.ts';
import type { L3 } from '../forwarding/nftables/expressions.ts';
import { observedOf, planTables } from '../forwarding/nftables/plan.ts';
import { guardTable, type GuardElements } from './tables.ts';

/** What was about one VIP, and what is now; undefined: nothing. */
export interface GuardChange {
  readonly before: GuardElements | undefined;
  readonly after: GuardElements | undefined;
}

/** How many VIPs each chain, and each table, is there for. */
export class GuardUses {
  private readonly chains = new Map<string, number>();
  private readonly tables = new Map<L3, number>();

  /** The steps for these changes, whatever else is guarded. A table is there as long as a VIP of its family is. */
  take(table: string, changes: readonly GuardChange[]): readonly NftStep[] {
    return (['ip', 'ip6'] as const).flatMap((l3) => {
      const before = changes.flatMap((change) => (change.before?.l3 === l3 ? [change.before] : []));
      const after = changes.flatMap((change) => (change.after?.l3 === l3 ? [change.after] : []));
      if (before.length + after.length === 0) return [];
      const chains = [...before, ...after].flatMap((each) => each.chains);
      const now = (elements: readonly GuardElements[]): readonly NftTable[] => {
        if ((this.tables.get(l3) ?? 0) === 0) return [];
        const others = chains.filter(({ name }) => this.chains.has(`${l3} ${name}`));
        return [guardTable(l3, table, elements, others)];
      };
      const observed = observedOf(now(before));
      for (const each of before) this.count(each, -1);
      for (const each of after) this.count(each, 1);
      return planTables(now(after), observed);
    });
  }

  private count({ l3, chains }: GuardElements, by: 1 | -1): void {
    this.tables.set(l3, (this.tables.get(l3) ?? 0) + by);
    for (const { name } of chains) {
      const key = `${l3} ${name}`;
      const uses = (this.chains.get(key) ?? 0) + by;
      if (uses > 0) this.chains.set(key, uses);
      else this.chains.delete(key);
    }
  }
}
