import { KubeVipError, messageOf } from '../lib/errors.ts';
import type { KubeErrorKind } from './types.ts';

export interface KubeErrorDetails {
  readonly kind: KubeErrorKind;
  readonly message: string;
  /** Method and path of the call, e.g. `GET /api/v1/nodes`; '' when no call was made. */
  readonly path: string;
  readonly status?: number | undefined;
  readonly reason?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call to the API server that did not bring what was asked for; callers switch on `kind`. */
export class KubeError extends KubeVipError {
  readonly code = 'KUBE';
  readonly kind: KubeErrorKind;
  /** HTTP status, undefined when there was no answer. */
  readonly status: number | undefined;
  /** metav1.Status reason, or the system's error code (ECONNREFUSED …); '' when there is none. */
  readonly reason: string;
  readonly path: string;
  /** The server's wish (Retry-After), milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(details: KubeErrorDetails) {
    const where = details.path === '' ? '' : `${details.path}: `;
    super(`${where}${details.message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = details.kind;
    this.status = details.status;
    this.reason = details.reason ?? '';
    this.path = details.path;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Reason of an answer that is larger than we take. */
export const TOO_LARGE = 'AnswerTooLarge';

/** The error of an answer that does not decode. */
export function garbage(path: string, cause: unknown, status?: number): KubeError {
  const message = `the answer is not what the API may send: ${messageOf(cause)}`;
  return new KubeError({ kind: 'garbage', path, status, message, cause });
}

/** What an answer's status and reason, or a failed connection's error code, mean for the caller. */
export function classify(what: { readonly status?: number; readonly reason: string }): KubeErrorKind {
  const { status, reason } = what;
  if (reason === 'Expired' || reason === 'Gone') return 'gone';
  if (status === undefined) return classifyFailure(reason);
  if (status === 409) return reason === 'AlreadyExists' ? 'already-exists' : 'conflict';
  if (status >= 500 && status < 600) return 'server';
  return byStatus.get(status) ?? (status >= 400 && status < 500 ? 'invalid' : 'garbage');
}

const byStatus = new Map<number, KubeErrorKind>([
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'not-found'],
  [408, 'timeout'],
  [410, 'gone'],
  [429, 'throttled'],
]);

/** Codes with which Node and nghttp2 say that the other side does not speak HTTP/2 as it should. */
const protocolFailures = new Set([
  'ERR_HTTP2_ERROR',
  'ERR_HTTP2_SESSION_ERROR',
  'ERR_HTTP2_TOO_MANY_INVALID_FRAMES',
  'ERR_HTTP2_INVALID_CONNECTION_HEADERS',
]);

function classifyFailure(reason: string): KubeErrorKind {
  // HPE_: what Node's parser says of an answer that is not HTTP/1.1.
  return protocolFailures.has(reason) || reason.startsWith('HPE_') ? 'garbage' : 'unreachable';
}

/** `code` of a Node system error, '' for anything else. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Wraps what a socket, TLS or HTTP/2 stream threw; a KubeError passes through untouched. */
export function fromFailure(error: unknown, path: string): KubeError {
  if (error instanceof KubeError) return error;
  const reason = errorCode(error);
  const text = error instanceof Error ? error.message : String(error);
  return new KubeError({ kind: classify({ reason }), message: text || reason, path, reason, cause: error });
}

/** The error in an answer that is not 2xx; `body` is a metav1.Status when the API server itself spoke. */
export function fromAnswer(status: number, body: string, path: string, retryAfter?: string): KubeError {
  const parsed = parseStatus(body);
  const seconds = Number(retryAfter ?? parsed.retryAfterSeconds ?? Number.NaN);
  return new KubeError({
    kind: classify({ status, reason: parsed.reason }),
    message: `${status} ${parsed.reason}${parsed.reason === '' ? '' : ': '}${parsed.message}`.trimEnd(),
    path,
    status,
    reason: parsed.reason,
    retryAfterMs: Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined,
  });
}

interface ParsedStatus {
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds: number | undefined;
}

const MAX_QUOTED_BODY = 200;

function parseStatus(body: string): ParsedStatus {
  const quoted = { reason: '', message: body.slice(0, MAX_QUOTED_BODY).trim(), retryAfterSeconds: undefined };
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? statusFields(value) : quoted;
  } catch {
    return quoted; // proxies and overloaded servers answer in prose
  }
}

/** Fields of a metav1.Status, whatever their types turn out to be. */
export function statusFields(value: object): ParsedStatus & { readonly code: number | undefined } {
  const status = value as Record<string, unknown>;
  const details = status.details as Record<string, unknown> | null | undefined;
  const after = typeof details === 'object' ? details?.retryAfterSeconds : undefined;
  return {
    reason: typeof status.reason === 'string' ? status.reason : '',
    message: typeof status.message === 'string' ? status.message : '',
    retryAfterSeconds: typeof after === 'number' && after > 0 ? after : undefined,
    code: typeof status.code === 'number' ? status.code : undefined,
  };
}
