import { DecodeError } from '../lib/errors.ts';
import { KubeError, classify, statusFields } from './errors.ts';
import type { KubeObject, WatchEvent } from './types.ts';

/** etcd stores at most 1.5 MiB an object by default; nothing honest comes near this. */
export const MAX_EVENT_BYTES = 8 << 20;

const NEWLINE = 0x0a;

/** Cuts a byte stream into lines; holds at most `limit` bytes of an unfinished one. */
export class LineFramer {
  private readonly limit: number;
  private pending: Uint8Array[] = [];
  private pendingLength = 0;

  constructor(limit: number = MAX_EVENT_BYTES) {
    this.limit = limit;
  }

  /** The lines that `bytes` completes, without their newline. Throws DecodeError when one is too long. */
  push(bytes: Uint8Array): readonly Uint8Array[] {
    const lines: Uint8Array[] = [];
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      lines.push(this.complete(bytes.subarray(start, end)));
      start = end + 1;
    }
    if (start < bytes.length) this.keep(bytes.subarray(start));
    return lines;
  }

  /** Bytes of the unfinished line. */
  get held(): number {
    return this.pendingLength;
  }

  private complete(tail: Uint8Array): Uint8Array {
    if (this.pendingLength === 0 && tail.length <= this.limit) return tail;
    this.keep(tail);
    const line = Buffer.concat(this.pending);
    this.pending = [];
    this.pendingLength = 0;
    return line;
  }

  private keep(bytes: Uint8Array): void {
    this.pendingLength += bytes.length;
    if (this.pendingLength > this.limit) {
      throw new DecodeError('kube-watch', 'line', this.limit, `longer than ${this.limit} bytes`);
    }
    this.pending.push(bytes);
  }
}

/**
 * Decodes one line of a watch (metav1.WatchEvent).
 *
 * @throws DecodeError for anything that is not an event; KubeError for an ERROR event, by its Status.
 */
export function decodeWatchEvent(line: Uint8Array): WatchEvent {
  const value = parseJson(line);
  const { type, object } = value as Record<string, unknown>;
  if (typeof object !== 'object' || object === null) throw bad('object', 'is missing');
  if (type === 'ERROR') throw errorEvent(object);
  const decoded = decodeObject(object);
  if (type === 'BOOKMARK') return { type, resourceVersion: decoded.metadata.resourceVersion ?? '' };
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object: decoded };
  throw bad('type', `unknown: ${JSON.stringify(type)}`);
}

function parseJson(line: Uint8Array): object {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8'));
  } catch (error) {
    throw bad('line', error instanceof Error ? error.message : 'not JSON');
  }
  if (typeof value !== 'object' || value === null) throw bad('line', 'not a JSON object');
  return value;
}

function errorEvent(object: object): KubeError {
  const status = statusFields(object);
  return new KubeError({
    kind: classify({ status: status.code ?? 500, reason: status.reason }),
    path: 'watch',
    message: `the watch ended: ${status.code ?? ''} ${status.reason}: ${status.message}`,
    status: status.code,
    reason: status.reason,
    retryAfterMs: status.retryAfterSeconds === undefined ? undefined : status.retryAfterSeconds * 1000,
  });
}

/**
 * Checks that a parsed JSON value has the shape of an API object and drops its managedFields, which
 * nobody here reads and which are often most of its size.
 */
export function decodeObject(value: unknown): KubeObject {
  if (typeof value !== 'object' || value === null) throw bad('object', 'not a JSON object');
  const { metadata } = value as Record<string, unknown>;
  if (typeof metadata !== 'object' || metadata === null) throw bad('metadata', 'is missing');
  if (!hasTextFields(metadata)) throw bad('metadata', 'a field that must be a text is not');
  if (!('managedFields' in metadata)) return value as KubeObject;
  // Copied, not deleted: V8 turns an object with deleted fields into a slow and large one.
  const kept = Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== 'managedFields'));
  return { ...value, metadata: kept };
}

const textFields = ['name', 'namespace', 'uid', 'resourceVersion'] as const;

function hasTextFields(metadata: object): boolean {
  const fields = metadata as Record<string, unknown>;
  return textFields.every((name) => fields[name] === undefined || typeof fields[name] === 'string');
}

function bad(field: string, detail: string): DecodeError {
  return new DecodeError('kube-watch', field, 0, detail);
}
