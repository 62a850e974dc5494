/**
 * Gauges, counters and histograms with labels, and their text form (Prometheus exposition format
 * 0.0.4). Written here rather than taken from a library: the usual one costs 8 MB and 50 ms.
 */

export type Labels<L extends string> = Readonly<Record<L, string>>;

export type MetricType = 'gauge' | 'counter' | 'histogram';

/** What a metric is, for the exposition and for the reference page. */
export interface Declaration {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly labels: readonly string[];
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Series of one metric; the bound keeps a runaway label from eating the memory. */
const MAX_SERIES = 2000;

abstract class Metric<L extends string, V> {
  readonly declaration: Declaration;
  protected readonly series = new Map<string, { readonly labels: Labels<L>; value: V }>();
  private refusedSeries = 0;

  constructor(declaration: Declaration) {
    this.declaration = declaration;
  }

  /** New series that were refused because there are too many. */
  get refused(): number {
    return this.refusedSeries;
  }

  /** Forgets the series of a thing that is gone. */
  remove(labels: Labels<L>): void {
    this.series.delete(this.key(labels));
  }

  clear(): void {
    this.series.clear();
  }

  samples(): readonly Sample[] {
    return [...this.each()];
  }

  abstract each(): Iterable<Sample>;

  protected entry(labels: Labels<L>, initial: () => V): { value: V } | undefined {
    const key = this.key(labels);
    let found = this.series.get(key);
    if (found === undefined) {
      if (this.series.size >= MAX_SERIES) {
        this.refusedSeries++;
        return undefined;
      }
      found = { labels, value: initial() };
      this.series.set(key, found);
    }
    return found;
  }

  private key(labels: Labels<L>): string {
    // Not map and join: some of this is done for every event.
    const values: Readonly<Record<string, string | undefined>> = labels;
    return this.declaration.labels.reduce((key, label) => `${key}${values[label] ?? ''}\0`, '');
  }
}

export class Gauge<L extends string> extends Metric<L, number> {
  set(labels: Labels<L>, value: number): void {
    const entry = this.entry(labels, () => 0);
    if (entry !== undefined) entry.value = value;
  }

  override *each(): Iterable<Sample> {
    const { name } = this.declaration;
    for (const { labels, value } of this.series.values()) yield { name, labels, value };
  }
}

export class Counter<L extends string> extends Metric<L, number> {
  increment(labels: Labels<L>, by = 1): void {
    const entry = this.entry(labels, () => 0);
    if (entry !== undefined) entry.value += by;
  }

  /** The count itself, for who adds to it too often to look for it each time; a series that was refused counts for nothing. */
  tally(labels: Labels<L>): { value: number } {
    return this.entry(labels, () => 0) ?? { value: 0 };
  }

  /** For a total that is counted elsewhere; it never goes back. */
  advanceTo(labels: Labels<L>, total: number): void {
    const entry = this.entry(labels, () => 0);
    if (entry !== undefined) entry.value = Math.max(entry.value, total);
  }

  override *each(): Iterable<Sample> {
    const { name } = this.declaration;
    for (const { labels, value } of this.series.values()) yield { name, labels, value };
  }
}

interface Distribution {
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Upper bounds in seconds, the same as client_golang's default. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class Histogram<L extends string> extends Metric<L, Distribution> {
  /** `value` in the unit of the metric's name (seconds). */
  observe(labels: Labels<L>, value: number): void {
    const entry = this.entry(labels, () => ({ counts: BUCKETS.map(() => 0), sum: 0, count: 0 }));
    if (entry === undefined) return;
    const { counts } = entry.value;
    BUCKETS.forEach((bound, index) => {
      if (value <= bound) counts[index] = (counts[index] ?? 0) + 1;
    });
    entry.value.sum += value;
    entry.value.count++;
  }

  override *each(): Iterable<Sample> {
    const { name } = this.declaration;
    const bucket = `${name}_bucket`;
    for (const { labels, value } of this.series.values()) {
      for (const [index, bound] of BUCKETS.entries())
        yield { name: bucket, labels: { ...labels, le: String(bound) }, value: value.counts[index] ?? 0 };
      yield { name: bucket, labels: { ...labels, le: '+Inf' }, value: value.count };
      yield { name: `${name}_sum`, labels, value: value.sum };
      yield { name: `${name}_count`, labels, value: value.count };
    }
  }
}

export type AnyMetric = Gauge<string> | Counter<string> | Histogram<string>;

/** One metric in exposition format, line by line, with its HELP and TYPE even when it has no series yet. */
export function* expose(metric: Pick<AnyMetric, 'declaration' | 'each'>): Generator<string> {
  const { name, help, type } = metric.declaration;
  yield `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`;
  for (const sample of metric.each()) {
    const labels = Object.entries(sample.labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`);
    yield `${sample.name}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${formatValue(sample.value)}\n`;
  }
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function formatValue(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}
