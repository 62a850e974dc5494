import { median, type Summary } from './figures.ts';
import { depth, type Kind, type Sample } from './measure.ts';
import type { Path, PathName } from './paths.ts';
import type { ChangeTimes, LoadReport } from './protocol.ts';
import { farewells, type Farewell } from './removal.ts';

/** Slices of one path, by the number of their round. */
export type Slices = ReadonlyMap<number, Sample>;

export interface Results {
  readonly paths: readonly Pick<Path, 'name' | 'title'>[];
  readonly missing: ReadonlyMap<PathName, string>;
  slices(path: PathName, kind: Kind): Slices;
  readonly removals: readonly {
    readonly path: PathName;
    readonly how: Farewell;
    readonly report: LoadReport;
  }[];
  readonly changes: readonly { readonly path: PathName; readonly times: ChangeTimes }[];
}

/** What each of our modes is compared with. */
const limits: Partial<Record<PathName, PathName>> = {
  translating: 'rules-translating',
  'direct-return': 'rules-direct-return',
};

/** The median of what one path did in a round over what the other did in the same: the machine's speed drifts. */
export function ratio(a: Slices, b: Slices): number {
  return median(
    [...a].flatMap(([round, { rate }]) => {
      const other = b.get(round);
      return other === undefined ? [] : [rate / other.rate];
    }),
  );
}

export function medianOf(slices: Slices, of: keyof Sample): number {
  return median([...slices.values()].flatMap((sample) => sample[of] ?? []));
}

export interface Goal {
  readonly what: string;
  readonly value: number;
  readonly target: string;
  /** Undefined: a figure to compare, without a target. */
  readonly isMet: boolean | undefined;
}

const atLeast = (what: string, value: number, bound: number | undefined): Goal => ({
  what,
  value,
  target: bound === undefined ? '' : `≥ ${bound}`,
  isMet: bound === undefined ? undefined : value >= bound,
});
const below = (what: string, value: number, bound: number): Goal => ({
  what,
  value,
  target: `< ${bound}`,
  isMet: value < bound,
});

/** What direct return must be better by; with one request at a time the ends cost most, and it is only told. */
const gains = { requests: undefined, multiplexed: 1.25, connections: 1.1 } as const;

/** Those that have been measured. */
export function goals(results: Results): readonly Goal[] {
  const of = (a: PathName, b: PathName, kind: Kind): number =>
    ratio(results.slices(a, kind), results.slices(b, kind));
  const all = [
    ...(['requests', 'multiplexed', 'connections'] as const).flatMap((kind) => [
      atLeast(`translating / rules, ${titles[kind]}`, of('translating', 'rules-translating', kind), 0.97),
      atLeast(
        `direct return / rules, ${titles[kind]}`,
        of('direct-return', 'rules-direct-return', kind),
        0.97,
      ),
      atLeast(
        `direct return / translating, ${titles[kind]}`,
        of('direct-return', 'translating', kind),
        gains[kind],
      ),
    ]),
    ...results.changes.flatMap(({ path, times }) => [
      below(`${path}: batch of 8 VIPs × 32 back-ends, ms`, times.batchMs.p50, 2),
    ]),
  ];
  return all.filter(({ value }) => !Number.isNaN(value));
}

const titles: Readonly<Record<Kind, string>> = {
  requests: 'requests/s, one at a time',
  multiplexed: `requests/s, ${depth} at a time`,
  connections: 'connections/s, one request each',
  bulk: 'bulk data, one connection, Gbit/s',
};

/** Three significant digits are more than the machine gives. */
function number(value: number): string {
  if (Number.isNaN(value)) return '-';
  if (value >= 9.95) return value.toFixed(0);
  return value.toFixed(value >= 0.995 ? 1 : 2);
}

const fixed = (value: number): string => (Number.isNaN(value) ? '' : value.toFixed(3));

function kindTable(results: Results, kind: Kind): readonly string[] {
  const isWrk = kind !== 'bulk';
  const latency = isWrk ? ['p50 µs', 'p99', 'p99.9', 'CPU µs', 'failed'] : [];
  const rows = results.paths.flatMap(({ name, title }) => {
    const slices = results.slices(name, kind);
    if (slices.size === 0) return [];
    const limit = limits[name];
    const failed = [...slices.values()].reduce((sum, sample) => sum + (sample.failed ?? 0), 0);
    return [
      [
        title,
        String(slices.size),
        number(medianOf(slices, 'rate')),
        limit === undefined ? '' : fixed(ratio(slices, results.slices(limit, kind))),
        ...(isWrk
          ? [
              ...(['p50', 'p99', 'p999', 'cpuUs'] as const).map((of) => number(medianOf(slices, of))),
              String(failed),
            ]
          : []),
      ],
    ];
  });
  if (rows.length === 0) return [];
  return table([titles[kind], 'n', 'median', '× rules', ...latency], rows);
}

function removalTable({ removals, paths }: Results): readonly string[] {
  if (removals.length === 0) return [];
  const titleOf = (name: PathName): string => paths.find((path) => path.name === name)?.title ?? name;
  const rows = removals.flatMap(({ path, how, report }) =>
    (['fresh', 'kept'] as const).map((which) => {
      const { requests, failed, longestMs } = report[which];
      const clients = which === 'fresh' ? 'a connection each' : 'connections kept';
      return [
        `${titleOf(path)}: ${farewells[how]}`,
        clients,
        String(requests),
        String(failed),
        number(longestMs),
      ];
    }),
  );
  return table(['one of three back-ends under load', 'clients', 'requests', 'failed', 'longest ms'], rows);
}

function changeTable({ changes }: Results): readonly string[] {
  if (changes.length === 0) return [];
  const cells = ({ p50, p99, max }: Summary): readonly string[] => [p50, p99, max].map((ms) => ms.toFixed(2));
  return table(
    ['one back-end of 8 VIPs × 32', 'batches', 'batch ms p50', 'p99', 'max', 'in all ms p50', 'p99', 'max'],
    changes.map(({ path, times: { batches, batchMs, reconcileMs } }) => [
      path,
      String(batches),
      ...cells(batchMs),
      ...cells(reconcileMs),
    ]),
  );
}

/** Everything as text for a terminal. */
export function format(results: Results): string {
  const parts = [
    kindTable(results, 'requests'),
    kindTable(results, 'multiplexed'),
    kindTable(results, 'connections'),
    kindTable(results, 'bulk'),
    removalTable(results),
    changeTable(results),
    table(
      ['goal', 'measured', 'target', ''],
      goals(results).map(({ what, value, target, isMet }) => [
        what,
        fixed(value),
        target,
        isMet === undefined ? '' : isMet ? 'met' : 'MISSED',
      ]),
    ),
    [...results.missing].map(([path, because]) => `${path}: not on this machine: ${because}`),
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

/** Columns with a text head on the left, the others to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((cells) => (cells[column] ?? '').length)),
  );
  const isText = head.map((_, column) => rows.every((cells) => !/^[\d.-]*$/.test(cells[column] ?? '')));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        isText[column] === true ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}
