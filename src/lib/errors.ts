/**
 * The root of every error this program throws on purpose. Errors are chosen by what the catcher
 * does next, so each subclass belongs to one handler.
 */
export abstract class KubeVipError extends Error {
  /** Stable, upper case, safe to match on. */
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Bytes that are not what the protocol allows: the handler drops the message and counts it. */
export class DecodeError extends KubeVipError {
  readonly code = 'DECODE';
  readonly protocol: string;
  readonly field: string;
  /** Byte offset inside the message at which decoding stopped. */
  readonly offset: number;

  constructor(protocol: string, field: string, offset: number, detail: string) {
    super(`${protocol}: ${field} at byte ${offset}: ${detail}`);
    this.protocol = protocol;
    this.field = field;
    this.offset = offset;
  }
}

/** An operation that ran out of its own time budget. */
export class TimeoutError extends KubeVipError {
  readonly code = 'TIMEOUT';
}

/** A broken invariant: never expected, ends the task after the VIPs are removed. */
export class InvariantError extends KubeVipError {
  readonly code = 'INVARIANT';
}

/** The message of anything thrown, for a log field. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
