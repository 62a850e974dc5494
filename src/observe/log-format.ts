import { messageOf } from '../lib/errors.ts';
import type { LogFields } from '../lib/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** The numbers of Go's structured log, as `vip_loglevel` uses them. */
export const levelNumber: Readonly<Record<LogLevel, number>> = { debug: -4, info: 0, warn: 4, error: 8 };

export interface LogRecord {
  /** Milliseconds since the epoch. */
  readonly wall: number;
  readonly level: LogLevel;
  readonly component: string | undefined;
  readonly message: string;
  readonly fields: LogFields;
  /** How many equal lines were held back before this one. */
  readonly repeated: number;
}

export type LogFormat = 'text' | 'json';

/** What an API server or a peer sent must not fill the disk: longer values are cut. */
const MAX_VALUE = 4096;

export function formatRecord(record: LogRecord, format: LogFormat): string {
  return format === 'json' ? formatJson(record) : formatText(record);
}

/** Go's default text form, as kube-vip writes it: `2026/01/02 15:04:05 INFO message key=value`, local time. */
function formatText(record: LogRecord): string {
  let pairs = '';
  for (const [key, value] of Object.entries(allFields(record)))
    pairs += ` ${quote(key)}=${quote(plain(value))}`;
  const message = visible(record.message);
  return `${goTime(record.wall)} ${record.level.toUpperCase()} ${message}${pairs}\n`;
}

function formatJson(record: LogRecord): string {
  const { component, ...fields } = allFields(record);
  const line: Record<string, unknown> = { time: new Date(record.wall).toISOString(), level: record.level };
  if (component !== undefined) line['component'] = component;
  line['msg'] = record.message;
  // A field named like one of ours would hide it: it gets an underscore.
  for (const [key, value] of Object.entries(fields)) line[key in line ? `${key}_` : key] = jsonValue(value);
  return `${visible(JSON.stringify(line))}\n`;
}

function allFields({ component, fields, repeated }: LogRecord): Readonly<Record<string, unknown>> {
  const all: Record<string, unknown> = component === undefined ? {} : { component };
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) all[key] = value;
  if (repeated !== 0) all['repeated'] = repeated;
  return all;
}

function jsonValue(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'object' && !(value instanceof Error)) {
    const text = plain(value);
    return text.endsWith('…') ? text : (JSON.parse(text) as unknown);
  }
  return plain(value);
}

/** Any value as one piece of text; never throws. */
function plain(value: unknown): string {
  if (typeof value === 'string') return cut(value);
  if (value instanceof Error) return cut(messageOf(value));
  if (typeof value !== 'object' || value === null) return cut(String(value));
  try {
    return cut(
      JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner)),
    );
  } catch {
    // A ring of references: better a hint than no line.
    return cut(JSON.stringify(Object.prototype.toString.call(value)));
  }
}

function cut(text: string): string {
  return text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE)}…`;
}

/** Quotes where Go's log does: blanks, quotes, equal signs, anything not printable, and nothing at all. */
function quote(text: string): string {
  // Most of what is logged, and quickly told.
  if (/^[\w./:@-]+$/.test(text)) return text;
  return text === '' || /[\s"=\\\p{C}]/u.test(text) ? visible(JSON.stringify(text)) : text;
}

/**
 * Without anything that a terminal obeys or a reader does not see: C1 controls, separators of lines, changes of the
 * writing direction. Names and annotations come from whoever may write a Service. As Go's log writes them: `\uXXXX`.
 */
function visible(text: string): string {
  // Only ASCII that prints, as nearly always.
  if (/^[ -~]*$/.test(text)) return text;
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === '\n') return '\\n';
    let escaped = '';
    for (let at = 0; at < character.length; at++)
      escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
    return escaped;
  });
}

function goTime(wall: number): string {
  const time = new Date(wall);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${time.getFullYear()}/${two(time.getMonth() + 1)}/${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
