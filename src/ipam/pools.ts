import { hostLength, parseIp, type Family } from '../lib/ip.ts';
import { quote } from '../lib/text.ts';
import { alignedBlocks, cidrRange, dashRange, mergeRanges, type Range } from './ranges.ts';

/** Addresses that a Service of one namespace may get, read from the ConfigMap's `data`. */
export interface Pool {
  /** The same for pools with the same addresses in the same order. */
  readonly id: string;
  /** The ConfigMap key it came from, for messages. */
  readonly key: string;
  readonly kind: 'cidr' | 'range';
  readonly text: string;
  readonly scope: 'namespace' | 'global';
  /** Merged, sorted, end addresses already removed where asked for. */
  readonly ranges: readonly Range[];
  /** `0.0.0.0/32` alone: the address comes from DHCP. */
  readonly dhcp: boolean;
  readonly allowShare: boolean;
  readonly interfaceName: string | undefined;
  readonly descending: boolean;
}

export type PoolProblem =
  | { readonly reason: 'no-pool'; readonly message: string }
  | { readonly reason: 'empty-pool'; readonly message: string }
  | { readonly reason: 'bad-pool'; readonly message: string };

export type PoolLookup = { readonly pool: Pool } | { readonly problem: PoolProblem };

type Data = Readonly<Record<string, string>>;

/**
 * Finds the pool of a namespace: `cidr-<ns>`, `cidr-global`, `range-<ns>`, `range-global`, in this order
 * (the cloud provider's own; a value with a `/` holds CIDRs whichever key it stands under).
 */
export function findPool(data: Data, namespace: string): PoolLookup {
  const keys = [
    ...new Set([`cidr-${namespace}`, 'cidr-global', `range-${namespace}`, 'range-global']),
  ] as const;
  const key = keys.find((candidate) => data[candidate] !== undefined);
  if (key === undefined) {
    return problem('no-pool', `no address pool for namespace ${namespace}: set one of ${keys.join(', ')}`);
  }
  return readPool(data, key, namespace);
}

/** The pools of all keys, for usage and for problems nobody has run into yet. Keys in order. */
export function allPools(data: Data): readonly (PoolLookup & { readonly key: string })[] {
  return Object.keys(data)
    .filter((key) => /^(?:cidr|range)-./.test(key))
    .toSorted()
    .map((key) => {
      const namespace = key.endsWith('-global') ? '' : key.slice(key.indexOf('-') + 1);
      return { key, ...readPool(data, key, namespace) };
    });
}

function readPool(data: Data, key: string, namespace: string): PoolLookup {
  const text = (data[key] ?? '').trim();
  if (text === '') return problem('empty-pool', `${key} is empty: give it addresses or remove the key`);
  const global = key.endsWith('-global') && namespace !== 'global';
  const kind = text.includes('/') ? 'cidr' : 'range';
  const ranges = parseItems(key, kind, text);
  if ('problem' in ranges) return ranges;
  const isTrimmed = kind === 'cidr' && data['skip-end-ips-in-cidr'] === 'true';
  const trimmed = isTrimmed ? dropEnds(ranges.ranges) : ranges.ranges;
  const descending = data['search-order'] === 'desc';
  return {
    pool: {
      id: `${descending ? 'desc' : 'asc'} ${isTrimmed ? 'trimmed ' : ''}${text}`,
      key,
      kind,
      text,
      scope: global ? 'global' : 'namespace',
      ranges: trimmed,
      dhcp: text === '0.0.0.0/32',
      allowShare: goBool(scoped(data, 'allow-share', namespace)),
      interfaceName: scoped(data, 'interface', namespace),
      descending,
    },
  };
}

/** The families a pool can serve. */
export function familiesOf(pool: Pool): ReadonlySet<Family> {
  return new Set(pool.ranges.map(({ family }) => family));
}

function parseItems(
  key: string,
  kind: 'cidr' | 'range',
  text: string,
): { readonly ranges: readonly Range[] } | { readonly problem: PoolProblem } {
  const ranges: Range[] = [];
  for (const item of text.split(',').map((part) => part.trim())) {
    const range = kind === 'cidr' ? cidrRange(item) : dashRange(item);
    if (range === undefined) return problem('bad-pool', `${key}: ${whyBad(item, kind)}`);
    ranges.push(range);
  }
  return { ranges: mergeRanges(ranges) };
}

/** What is wrong with an item, and what to write instead. */
function whyBad(item: string, kind: 'cidr' | 'range'): string {
  if (item === '') return 'a comma too many: there is nothing before or after it';
  const address = parseIp(item);
  if (address !== undefined)
    return `${quote(item)} is one address: write ${kind === 'cidr' ? `${address}/${hostLength(address)}` : `${address}-${address}`}`;
  if (kind === 'range')
    return `${quote(item)} is not start-end with both addresses of one family, the lower one first; commas separate items`;
  const isRange = dashRange(item) !== undefined;
  return isRange
    ? `${quote(item)} is a range beside CIDRs: write it as CIDRs, too`
    : `${quote(item)} is not address/length; commas separate items`;
}

/** Network and broadcast address of every IPv4 prefix, /31 and /32 excepted. */
function dropEnds(ranges: readonly Range[]): Range[] {
  return ranges.flatMap((range) =>
    range.family === 6
      ? [range]
      : alignedBlocks(range).map((block) =>
          block.last - block.first < 2n
            ? block
            : { ...block, first: block.first + 1n, last: block.last - 1n },
        ),
  );
}

function scoped(data: Data, name: string, namespace: string): string | undefined {
  const value = data[`${name}-${namespace}`] ?? data[`${name}-global`];
  return value === undefined || value === '' ? undefined : value;
}

/** Go's strconv.ParseBool; what it cannot parse is false here. */
export const goTrue = ['1', 't', 'T', 'TRUE', 'true', 'True'];
export const goFalse = ['0', 'f', 'F', 'FALSE', 'false', 'False'];

function goBool(text: string | undefined): boolean {
  return text !== undefined && goTrue.includes(text);
}

function problem(reason: PoolProblem['reason'], message: string): { readonly problem: PoolProblem } {
  return { problem: { reason, message } };
}
