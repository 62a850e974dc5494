import assert from 'node:assert/strict';
import type { LeaseRecord, LeaseStore, StoredLease, StoreErrorKind } from '../../election/index.ts';
import { StoreError } from '../../election/index.ts';
import type { Clock } from '../../lib/clock.ts';

/** One election record and what the contract needs to do to it. */
export interface LeaseSubject {
  /** A candidate's view of the record; every call gives a new one. */
  store(options?: { readonly annotations?: Readonly<Record<string, string>> }): LeaseStore;
  /** The clock that elections over these stores run on. */
  readonly clock: Clock;
  /** Lets time pass and everything in flight arrive. */
  advance(ms: number): Promise<void>;
  /** An operator's hand: deletes the record. */
  remove(): Promise<void>;
  /** An operator's hand: writes the holder, and leaves the rest as it is. */
  overwriteHolder(holder: string): Promise<void>;
  close(): Promise<void>;
}

/** A record of its own for each test. */
export type OpenLeaseSubject = () => Promise<LeaseSubject>;

export const callOptions = { timeoutMs: 10_000, signal: new AbortController().signal };

export function recordOf(holderIdentity: string, over: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    holderIdentity,
    leaseDurationSeconds: 15,
    acquireTime: '2026-01-02T03:04:05.678901Z',
    renewTime: '2026-01-02T03:04:06.000001Z',
    leaseTransitions: 0,
    ...over,
  };
}

/** Asserts that a call fails with one of these kinds. */
export async function failsAs(kinds: readonly StoreErrorKind[], call: Promise<StoredLease>): Promise<void> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof StoreError, `expected a StoreError, got ${String(error)}`);
  assert.ok(kinds.includes(error.kind), `${error.kind}: ${error.message}`);
}

/** Lets time pass in small steps until the condition holds. */
export async function until(
  subject: Pick<LeaseSubject, 'advance'>,
  what: string,
  condition: () => boolean,
  withinMs = 20_000,
): Promise<number> {
  const step = 10;
  for (let waited = 0; ; waited += step) {
    if (condition()) return waited;
    assert.ok(waited < withinMs, `waited ${withinMs} ms for ${what}`);
    await subject.advance(step);
  }
}
