/**
 * The literal syntax of Go's strconv and time packages. Users' manifests were written for it, so what it
 * takes and refuses is kept exactly; see "Integer literals" in the Go specification for base 0.
 */

const truths = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const lies = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** strconv.ParseBool; undefined when the text is neither. */
export function parseGoBool(text: string): boolean | undefined {
  if (truths.has(text)) return true;
  return lies.has(text) ? false : undefined;
}

// Written without nested repeats: the text comes from outside, and matching must stay linear.
const baseZero = new RegExp(
  '^[+-]?(?:' +
    [
      '0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*',
      '0[bB]_?[01]+(?:_[01]+)*',
      '0[oO]_?[0-7]+(?:_[0-7]+)*',
      '0(?:_?[0-7]+(?:_[0-7]+)*)?',
      '[1-9][0-9]*(?:_[0-9]+)*',
    ].join('|') +
    ')$',
);

/**
 * strconv.ParseInt with base 0 (prefixes, a leading 0 means octal, underscores) or base 10 (digits only).
 * NaN when the text is no number; the result may lie outside the safe integers, callers check a range.
 */
export function parseGoInt(text: string, base: 0 | 10): number {
  if (base === 10) return /^[+-]?[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!baseZero.test(text)) return Number.NaN;
  const negative = text.startsWith('-');
  const digits = text.replace(/^[+-]/, '').replaceAll('_', '');
  const octal = /^0[0-7]+$/.exec(digits);
  const value = octal === null ? Number(digits) : Number.parseInt(digits, 8);
  return negative ? -value : value;
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** time.ParseDuration in milliseconds ("1h2m", "1.5s", "300ms", "0"); undefined when malformed. */
export function parseGoDuration(text: string): number | undefined {
  const negative = text.startsWith('-');
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return 0;
  const part = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy;
  let total = 0;
  let end = 0;
  for (let match = part.exec(body); match !== null; match = part.exec(body)) {
    total += Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN);
    end = part.lastIndex;
  }
  if (end === 0 || end !== body.length || !Number.isFinite(total)) return undefined;
  return negative ? -total : total;
}

/** A duration as Go prints short ones: "0s", "250ms", "1.5s", "90s". */
export function formatDuration(ms: number): string {
  return ms !== 0 && Math.abs(ms) < 1000 ? `${ms}ms` : `${ms / 1000}s`;
}
