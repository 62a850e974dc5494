import { compareVersions, sameRecord } from '../store.ts';
import type { LeaseChange, LeaseRecord, StoredLease } from '../store.ts';
import type { MachineSettings, Seen } from './types.ts';

/** Extra wait before claiming something that just became free without a release, so that an old holder sees it first. */
export const settleMs = 150;
/** Spread added to it, and to every claim for which several candidates wait. */
export const spreadMs = 50;

interface Now {
  readonly now: number;
  readonly random: number;
  /** Another process of our name is known to live. */
  readonly hasRival: boolean;
  wrote(record: LeaseRecord): boolean;
}

/** When a record with this content, first seen now, may be claimed. */
function freeAt(seen: Seen, lease: StoredLease, settings: MachineSettings, at: Now): number {
  const { now, random } = at;
  const { holderIdentity } = lease.record;
  const spread = random * spreadMs;
  if (holderIdentity === '') return now + spread;
  const isRivals = at.hasRival && !at.wrote(lease.record);
  if (holderIdentity === settings.identity && !isRivals) {
    // A hand that wrote our name over a living holder's: give that holder time to see it.
    return seen.kind === 'lease' && isHeldByOther(seen, settings, now) ? now + settleMs : now;
  }
  return renewedJustBefore(lease, settings, at);
}

function isHeldByOther(
  seen: Extract<Seen, { kind: 'lease' }>,
  settings: MachineSettings,
  now: number,
): boolean {
  const holder = seen.lease.record.holderIdentity;
  return holder !== '' && holder !== settings.identity && now < seen.freeAt;
}

/**
 * Folds a record into what was known. Unchanged content keeps its first-seen time (client-go's observedTime). One that
 * is older than what was known (etcd was restored) ends no tenure: that of the holder known is waited for, as after a deletion.
 */
export function seeLease(seen: Seen, lease: StoredLease, settings: MachineSettings, at: Now): Seen {
  if (seen.kind === 'lease' && sameRecord(seen.lease.record, lease.record)) return { ...seen, lease };
  const byRecord = freeAt(seen, lease, settings, at);
  const isTenureHidden =
    seen.kind === 'lease' && isHeldByOther(seen, settings, at.now) && wentBack(seen.lease, lease);
  const free = isTenureHidden ? Math.max(byRecord, renewedJustBefore(seen.lease, settings, at)) : byRecord;
  return { kind: 'lease', lease, since: at.now, freeAt: free };
}

function wentBack(known: StoredLease, lease: StoredLease): boolean {
  return newsOf(known, { kind: 'present', lease }) === 'stale';
}

/**
 * Folds "there is no record" into what was known. A deletion does not end a tenure, and it takes the
 * version along that would have told a claim based on an old sight from a current one. So whoever
 * knew of a record waits as if its holder had renewed it just before: a holder without watch and
 * without API server still drops its VIP first. (A living holder re-creates the record at once.)
 * A candidate that never saw one, as in a new cluster, only waits for things to settle.
 */
export function seeAbsent(seen: Seen, settings: MachineSettings, at: Now): Seen {
  if (seen.kind === 'absent') return seen;
  const before = seen.kind === 'unknown' ? seen.before : seen.lease;
  if (before !== undefined) return { kind: 'absent', freeAt: renewedJustBefore(before, settings, at) };
  return { kind: 'absent', freeAt: at.now + settleMs + at.random * spreadMs };
}

/** When a record may be claimed whose holder has perhaps renewed it where nobody can see that any more. */
function renewedJustBefore({ record }: StoredLease, settings: MachineSettings, { now, random }: Now): number {
  return now + durationMs(record, settings) + random * spreadMs;
}

/** The holder's own duration counts, as in client-go; ours where the record does not say, or nobody holds. */
function durationMs(record: LeaseRecord, settings: MachineSettings): number {
  const { holderIdentity, leaseDurationSeconds } = record;
  const useful = holderIdentity !== '' && leaseDurationSeconds > 0;
  return useful ? leaseDurationSeconds * 1000 : settings.leaseDurationMs;
}

export type News = 'new' | 'same' | 'stale' | 'unclear';

/** Is this change newer than the record we know? 'unclear' must be answered by a read. */
export function newsOf(known: StoredLease | undefined, change: LeaseChange): News {
  if (known === undefined) return 'new';
  const version = change.kind === 'present' ? change.lease.version : change.version;
  if (version === undefined) return 'unclear';
  const order = compareVersions(version, known.version);
  if (order === undefined) return 'unclear';
  if (change.kind === 'present') return order < 0 ? 'stale' : order === 0 ? 'same' : 'new';
  // A deletion may carry a cache's last copy, so an old version does not make it old news.
  return order < 0 ? 'unclear' : 'new';
}
