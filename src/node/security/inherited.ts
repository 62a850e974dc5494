import type { Hex, NftChain, NftElement, ObservedTable } from '../../linux/index.ts';
import type { GuardElements } from './tables.ts';

/**
 * What a predecessor's tables say, by VIP. Of rules only their comments can be read: should a chain have
 * to be written again, it lets nobody in.
 */
export function inheritedElements(observed: readonly ObservedTable[]): ReadonlyMap<Hex, GuardElements> {
  const found = new Map<Hex, GuardElements>();
  for (const table of observed) {
    if (table.family === 'netdev') continue;
    const elementsOf = (set: string): readonly NftElement[] =>
      table.sets.find(({ name }) => name === set)?.elements ?? [];
    const closed = new Set(elementsOf('closed').map(({ key }) => key));
    const chains = new Map(table.chains.map((chain) => [chain.name, chain]));
    const chainOf = (element: NftElement): readonly NftChain[] => {
      const chain = chains.get(targetOf(element));
      if (chain === undefined) return [];
      const rules = chain.rules.map((comment) => ({
        comment,
        expressions: [{ op: 'verdict', verdict: 'drop' } as const],
      }));
      return [{ name: chain.name, rules }];
    };
    const byVip = Map.groupBy(elementsOf('ports'), ({ key }) => key.slice(0, table.family === 'ip' ? 8 : 32));
    for (const key of elementsOf('vips')) {
      const ports = byVip.get(key.key) ?? [];
      const isOpen = !closed.has(key.key);
      found.set(key.key, { l3: table.family, key, isOpen, ports, chains: ports.flatMap(chainOf) });
    }
  }
  return found;
}

function targetOf({ data }: NftElement): string {
  if (data === undefined || typeof data === 'string' || typeof data.verdict === 'string') return '';
  return 'goto' in data.verdict ? data.verdict.goto : data.verdict.jump;
}
