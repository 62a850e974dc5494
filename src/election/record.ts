import type { LeaseRecord } from './store.ts';

/** The records a candidate writes, field by field as client-go 0.36 (tools/leaderelection) does. */

/**
 * metav1.MicroTime: RFC 3339, UTC, always six fractional digits.
 *
 * @param wallMs milliseconds since the epoch, with a fraction.
 */
export function microTime(wallMs: number): string {
  const micros = Math.floor(wallMs * 1000);
  const rest = ((micros % 1000) + 1000) % 1000;
  const millis = new Date((micros - rest) / 1000).toISOString().slice(0, -1);
  return `${millis}${String(rest).padStart(3, '0')}Z`;
}

/** spec.leaseTransitions is an int32; the API server refuses more. */
const mostTransitions = 2 ** 31 - 1;

export interface Claim {
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly wall: number;
}

/**
 * The record of a claim. On a record that already names us (a renewal, or our own after a restart)
 * acquireTime and transitions are kept; taking over any other, an empty one included, counts one
 * transition more, as far as the field can count; a new record starts at 0.
 */
export function claimRecord(claim: Claim, base: LeaseRecord | undefined): LeaseRecord {
  const now = microTime(claim.wall);
  const own = base?.holderIdentity === claim.identity;
  return {
    holderIdentity: claim.identity,
    // Rounded up: others must never count on less time than we do.
    leaseDurationSeconds: Math.ceil(claim.leaseDurationMs / 1000),
    acquireTime: own ? (base.acquireTime ?? now) : now,
    renewTime: now,
    leaseTransitions:
      base === undefined ? 0 : Math.min(mostTransitions, base.leaseTransitions + (own ? 0 : 1)),
  };
}

/** The record of a release: nobody holds, one second, fresh times, transitions kept. */
export function releaseRecord(wall: number, base: LeaseRecord): LeaseRecord {
  const now = microTime(wall);
  return {
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: base.leaseTransitions,
  };
}
