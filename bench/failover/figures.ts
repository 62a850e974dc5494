/** One repetition of one scenario with one subject; milliseconds. */
export interface Sample {
  readonly gapMs: number;
  readonly twoHoldersMs: number;
  readonly moved: boolean;
  readonly extras: Readonly<Record<string, number>>;
}

export interface Summary {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface Row {
  readonly subject: string;
  readonly scenario: string;
  readonly title: string;
  readonly samples: readonly Sample[];
  /** Why repetitions are missing. */
  readonly failures: readonly string[];
}

/** Nearest-rank percentile (ISO 2602): the smallest value that at least `share` of all do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function summarise(values: readonly number[]): Summary {
  return {
    p50: percentile(values, 0.5),
    p90: percentile(values, 0.9),
    p99: percentile(values, 0.99),
    max: percentile(values, 1),
  };
}

const number = (value: number): string =>
  Number.isNaN(value) ? '-' : value < 9.95 ? value.toFixed(1) : value.toFixed(0);

function extrasOf(row: Row): string {
  const names = [...new Set(row.samples.flatMap((sample) => Object.keys(sample.extras)))];
  return names
    .map(
      (name) => `${name} max ${number(Math.max(...row.samples.map((sample) => sample.extras[name] ?? 0)))}`,
    )
    .join(', ');
}

/** Two tables in one: the gap seen by the client, and the time in which two nodes held the VIP. */
export function formatTable(rows: readonly Row[]): string {
  const head = [
    'what happens',
    'subject',
    'n',
    'gap ms p50',
    'p90',
    'p99',
    'max',
    'two holders ms p50',
    'max',
    '',
  ];
  const body = rows.map((row) => {
    const gap = summarise(row.samples.map((sample) => sample.gapMs));
    const two = summarise(row.samples.map((sample) => sample.twoHoldersMs));
    const notes = [extrasOf(row), row.failures.length === 0 ? '' : `${row.failures.length} failed`];
    return [
      row.title,
      row.subject,
      String(row.samples.length),
      ...[gap.p50, gap.p90, gap.p99, gap.max, two.p50, two.max].map(number),
      notes.filter((note) => note !== '').join('; '),
    ];
  });
  const widths = head.map((title, column) =>
    Math.max(title.length, ...body.map((cells) => (cells[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column < 2 || column === 9 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
