import { KubeVipError } from '../lib/errors.ts';

/**
 * What an election record says, with the field names of coordination.k8s.io/v1 Lease. Times stay the
 * text that was read, so that writing one back keeps its microseconds.
 */
export interface LeaseRecord {
  /** '' when nobody holds. */
  readonly holderIdentity: string;
  /** 0 when the record does not say. */
  readonly leaseDurationSeconds: number;
  readonly acquireTime: string | undefined;
  readonly renewTime: string | undefined;
  readonly leaseTransitions: number;
}

/** A record as it stands in a store. */
export interface StoredLease {
  readonly record: LeaseRecord;
  /** Changes with every write; only the store that made it gives it a meaning. */
  readonly version: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** What the store needs to write the record back without losing what others put there. */
  readonly raw?: unknown;
}

export type StoreErrorKind =
  | 'not-found'
  | 'conflict' // the record is not the one this update was based on
  | 'already-exists'
  | 'unauthorized'
  | 'forbidden'
  | 'invalid'
  | 'throttled'
  | 'server'
  | 'unreachable'
  | 'timeout'
  | 'garbage';

/** A store call without the wanted outcome. The machine acts on `kind`; the text is for people. */
export class StoreError extends KubeVipError {
  readonly code = 'LEASE_STORE';
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export interface StoreCallOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** News about the record. A version, where known, lets the machine tell old news from new. */
export type LeaseChange =
  | { readonly kind: 'present'; readonly lease: StoredLease }
  | { readonly kind: 'absent'; readonly version: string | undefined };

/**
 * One election record somewhere: a Kubernetes Lease, an etcd key, memory. Calls reject with
 * `StoreError`; anything else thrown is handled as 'garbage'. Reads must be current, not cached.
 */
export interface LeaseStore {
  /** `namespace/name`, for logs and status. */
  readonly name: string;
  read(options: StoreCallOptions): Promise<StoredLease>;
  create(record: LeaseRecord, options: StoreCallOptions): Promise<StoredLease>;
  /** Writes only if the record still has the version of `base`; else 'conflict' (or 'not-found'). */
  update(base: StoredLease, record: LeaseRecord, options: StoreCallOptions): Promise<StoredLease>;
  /**
   * Reports changes until the signal aborts. Optional help: elections are correct without it, with
   * it they notice a release, a theft or a deletion at once.
   */
  watch?(onChange: (change: LeaseChange) => void, signal: AbortSignal): void;
}

/** Same content, whatever the version: only a change of content counts as a sign of life of the holder. */
export function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    a.holderIdentity === b.holderIdentity &&
    a.leaseDurationSeconds === b.leaseDurationSeconds &&
    a.acquireTime === b.acquireTime &&
    a.renewTime === b.renewTime &&
    a.leaseTransitions === b.leaseTransitions
  );
}

/**
 * Order of two versions: negative when `a` is older, undefined when that cannot be told. Kubernetes
 * resource versions are decimal numbers that grow per resource (comparable by contract since 1.35);
 * etcd revisions are the same.
 */
export function compareVersions(a: string, b: string): number | undefined {
  if (a === b) return 0;
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return undefined;
  const difference = BigInt(a) - BigInt(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}
