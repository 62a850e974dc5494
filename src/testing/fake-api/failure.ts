/** An answer other than success, as the API server would word it. */
export class ApiFailure extends Error {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterSeconds?: number) {
    super(message);
    this.name = 'ApiFailure';
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** The metav1.Status that goes over the wire. */
  toStatus(): object {
    const { status: code, reason, message, retryAfterSeconds } = this;
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      ...(retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } }),
      code,
    };
  }
}

export const badRequest = (message: string): ApiFailure => new ApiFailure(400, 'BadRequest', message);

export const notFound = (resource: string, name: string): ApiFailure =>
  new ApiFailure(404, 'NotFound', `${resource} "${name}" not found`);

export const alreadyExists = (resource: string, name: string): ApiFailure =>
  new ApiFailure(409, 'AlreadyExists', `${resource} "${name}" already exists`);

export const conflict = (resource: string, name: string, why: string): ApiFailure =>
  new ApiFailure(409, 'Conflict', `Operation cannot be fulfilled on ${resource} "${name}": ${why}`);

export const invalid = (resource: string, name: string, why: string): ApiFailure =>
  new ApiFailure(422, 'Invalid', `${resource} "${name}" is invalid: ${why}`);

export const expired = (message: string): ApiFailure => new ApiFailure(410, 'Expired', message);

/** The API server's sentence for a resourceVersion that was compacted. */
export const tooOld = (asked: number, current: number): ApiFailure =>
  expired(`too old resource version: ${asked} (${current})`);
