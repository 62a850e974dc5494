import { formatDuration, parseGoBool, parseGoDuration, parseGoInt } from './go-syntax.ts';

/** Outcome of reading one value: the value, perhaps with a remark, or what is wrong and what to do. */
export type Parsed<T> =
  { readonly value: T; readonly warning?: string } | { readonly problem: string; readonly remedy: string };

/** Where a text comes from decides how numbers are read: flags and files take prefixes, the environment does not. */
export type TextOrigin = 'flag' | 'env' | 'file';

/** The type of a setting: how its values are read from text and from files, and how they are shown. */
export interface Codec<T> {
  /** Shown in help and documents: string, int, ... */
  readonly type: string;
  parse(text: string, origin: TextOrigin): Parsed<T>;
  /** A value that is more than one scalar (list, object); absent: only scalars are taken. */
  fromFile?(value: unknown): Parsed<T> | undefined;
  /** Joins repeated uses of a flag; absent: the last use counts. */
  join?(values: readonly T[]): T;
  /** The text that `parse` would read back, with secrets hidden. */
  format(value: T): string;
}

export function failed(
  problem: string,
  remedy: string,
): { readonly problem: string; readonly remedy: string } {
  return { problem, remedy };
}

export const boolCodec: Codec<boolean> = {
  type: 'bool',
  parse(text, origin) {
    const value = parseGoBool(text) ?? (origin === 'file' ? yamlBool(text) : undefined);
    if (value === undefined)
      return failed('not a boolean', 'use true or false (also 1 t T TRUE True, 0 f F FALSE False)');
    return { value };
  },
  format: String,
};

/** The extra words that YAML 1.1, which users' files are written for, takes as booleans. */
function yamlBool(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (word === 'yes' || word === 'on') return true;
  return word === 'no' || word === 'off' ? false : undefined;
}

export const stringCodec: Codec<string> = {
  type: 'string',
  parse: (text) => ({ value: text }),
  format: (value) => value,
};

export interface IntRange {
  readonly min: number;
  readonly max: number;
  /** Unsigned types of Go refuse a sign, even a plus. */
  readonly unsigned?: boolean;
}

export function intCodec(type: string, range: IntRange): Codec<number> {
  const { min, max } = range;
  return {
    type,
    parse(text, origin) {
      // YAML and JSON files may hold a whole number as 15.0.
      const whole = origin === 'file' ? text.replace(/^([0-9]+)\.0+$/, '$1') : text;
      const value = parseGoInt(whole, origin === 'env' ? 10 : 0);
      if (Number.isNaN(value) || (range.unsigned === true && text.startsWith('+')))
        return failed('not a whole number', `use a number from ${min} to ${max}`);
      if (value < min || value > max) return failed('out of range', `use a number from ${min} to ${max}`);
      return { value: value === 0 ? 0 : value };
    },
    format: String,
  };
}

/** One of a few words, read without regard to case. `lenient`: an unknown word becomes the default with a warning. */
export function choiceCodec<const T extends string>(
  words: readonly T[],
  lenient: T | undefined,
  aliases: Readonly<Record<string, T>> = {},
): Codec<T> {
  return {
    type: words.join('|'),
    parse(text) {
      const word = text.toLowerCase();
      const value = words.find((known) => known === word) ?? aliases[word];
      if (value !== undefined) return { value };
      if (lenient !== undefined)
        return { value: lenient, warning: `is none of ${words.join(', ')}; using ${lenient}` };
      return failed('not supported', `use one of ${words.filter((known) => known !== '').join(', ')}`);
    },
    format: (value) => value,
  };
}

/** Comma list; empty parts are skipped, parts are trimmed. */
export const listCodec: Codec<readonly string[]> = {
  type: 'list',
  parse: (text) => ({ value: splitList(text) }),
  fromFile(value) {
    if (!Array.isArray(value)) return undefined;
    const items: readonly unknown[] = value;
    if (!items.every((item) => typeof item === 'string'))
      return failed('not a list of strings', 'write ["a", "b"] or one comma-separated string');
    return { value: items };
  },
  join: (values) => values.flat(),
  format: (value) => value.join(','),
};

export function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** A Go duration ("200ms", "1m30s"), kept as milliseconds; never negative. */
export const durationCodec: Codec<number> = {
  type: 'duration',
  parse(text) {
    const value = parseGoDuration(text);
    if (value === undefined || value < 0)
      return failed('not a duration', 'write a number with a unit, such as 200ms, 5s or 1m30s');
    return { value };
  },
  format: formatDuration,
};

/** An absolute http or https URL, or empty. */
export const urlCodec: Codec<string> = {
  type: 'url',
  parse(text) {
    if (text === '') return { value: '' };
    const remedy = 'write an absolute URL such as https://127.0.0.1:6443/livez';
    const url = URL.parse(text);
    if (url === null) return failed('is not a valid URL', remedy);
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      return failed(`has unsupported scheme ${url.protocol.slice(0, -1)}, expected http or https`, remedy);
    // The URL class takes https:host and https:/host for https://host; Go's parser does not.
    return /^https?:\/\/[^/]/i.test(text) ? { value: text } : failed('is not a valid URL', remedy);
  },
  format: (value) => value,
};

export type StringMap = Readonly<Record<string, string>>;

/** A JSON object whose values are strings. */
export const stringMapCodec: Codec<StringMap> = {
  type: 'json',
  parse(text) {
    if (text === '') return { value: {} };
    try {
      // Go's decoder makes an empty map of null.
      return stringMap(JSON.parse(text) ?? {}) ?? notStringMap();
    } catch {
      return notStringMap();
    }
  },
  fromFile: stringMapOfFile,
  format: (value) => (Object.keys(value).length === 0 ? '' : JSON.stringify(value)),
};

function notStringMap(): Parsed<StringMap> {
  return failed('not a JSON object of strings', 'write {"key":"value"}');
}

function stringMap(value: unknown): Parsed<StringMap> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string'))
    return notStringMap();
  // A null prototype: keys come from outside.
  return { value: Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(entries)) };
}

/** In files a number or boolean is the text that it was written as. */
function stringMapOfFile(value: unknown): Parsed<StringMap> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const asText = (item: unknown): unknown =>
    typeof item === 'number' || typeof item === 'boolean' ? String(item) : item;
  return stringMap(Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asText(item)])));
}
