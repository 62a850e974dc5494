import type { LeaseChange, StoreErrorKind } from '../store.ts';
import { tenureMs } from '../timings.ts';
import type { Draft } from './draft.ts';
import { follow, fold, knownLease, pause, stop } from './following.ts';
import { newsOf, seeLease } from './observation.ts';
import type { AfterRelease, CallOutcome, Reason, Releasing, Seen } from './types.ts';

/** Gives the record back, best effort. The tenure is over and the VIP gone before this begins. */
export function release(d: Draft, lease: Releasing['lease'], after: AfterRelease): Reason {
  d.enter({ at: 'releasing', lease, after });
  d.arm('release', budgetMs(d, after));
  ask(d, lease);
  return 'releasing';
}

/**
 * After a tenure that ran out others may take the record once the lease has run out, so releasing it
 * later is pointless; otherwise client-go's bound, one renew deadline.
 */
function budgetMs(d: Draft, after: AfterRelease): number {
  const { leaseDurationMs, renewDeadlineMs } = d.settings;
  return after.then === 'campaign' ? leaseDurationMs - tenureMs(d.settings) : renewDeadlineMs;
}

function ask(d: Draft, lease: Releasing['lease']): void {
  if (lease === undefined) d.read();
  else d.sendRelease(lease);
}

/** The pause after a failed call is over. */
export function onReleaseRetry(d: Draft, phase: Releasing): Reason {
  ask(d, phase.lease);
  return 'releasing';
}

/** @param read the call has read the record, and not written it. */
export function onReleasingResult(d: Draft, phase: Releasing, outcome: CallOutcome, read: boolean): Reason {
  if (!outcome.ok) return releaseFailed(d, phase, outcome.error);
  const { lease } = outcome;
  if (lease.record.holderIdentity === d.settings.identity) {
    d.phase = { ...phase, lease };
    d.sendRelease(lease);
    return 'releasing';
  }
  d.report(lease.record);
  if (read) return finish(d, phase, seeLease({ kind: 'unknown' }, lease, d.settings, d), 'held-by-other');
  // Let healthier candidates go first; alone, this node is back within half a period.
  const freeAt = d.now + d.settings.retryPeriodMs / 2;
  return finish(d, phase, { kind: 'lease', lease, since: d.now, freeAt }, 'release-sent');
}

function releaseFailed(d: Draft, phase: Releasing, error: StoreErrorKind): Reason {
  if (error === 'not-found') {
    d.report(undefined);
    return finish(d, phase, { kind: 'absent', freeAt: d.now + d.settings.retryPeriodMs / 2 }, error);
  }
  if (error === 'conflict') {
    d.refusals++;
    d.phase = { ...phase, lease: undefined };
    if (d.isRefusedAgain) d.arm('poll', d.settings.retryPeriodMs / 4);
    else d.read();
  } else {
    d.arm('poll', error === 'timeout' ? 0 : d.settings.retryPeriodMs / 4);
  }
  return error;
}

/** Somebody else's record, or none, ends the attempt; a newer one of our own is the new base. */
export function onReleasingWatch(d: Draft, phase: Releasing, change: LeaseChange): Reason {
  const news = newsOf(phase.lease, change);
  if (phase.lease === undefined || news !== 'new') return news === 'stale' ? 'stale-watch' : 'releasing';
  if (change.kind === 'present' && change.lease.record.holderIdentity === d.settings.identity) {
    d.phase = { ...phase, lease: change.lease };
    return 'own-record';
  }
  // An empty record is most likely our own release, whose answer is under way.
  if (change.kind === 'present' && change.lease.record.holderIdentity === '') return 'releasing';
  const known: Seen = { kind: 'lease', lease: phase.lease, since: d.now, freeAt: d.now };
  const seen = fold(d, known, change);
  d.report(knownLease(seen)?.record);
  return finish(d, phase, seen, change.kind === 'present' ? 'held-by-other' : 'not-found');
}

export function onReleaseTimeout(d: Draft, phase: Releasing): Reason {
  // A read, unlike another write, is not in the way when the watch comes back first.
  const seen: Seen =
    phase.lease === undefined ? { kind: 'unknown' } : { kind: 'unknown', before: phase.lease };
  return finish(d, phase, seen, 'release-given-up');
}

function finish(d: Draft, phase: Releasing, seen: Seen, reason: Reason): Reason {
  if (phase.after.then === 'stop') stop(d);
  else if (phase.after.then === 'pause') pause(d, seen, phase.after.until);
  else follow(d, seen);
  return reason;
}

/** A stop or a resignation while the record is being given back: only what follows changes. */
export function releaseInto(d: Draft, phase: Releasing, after: AfterRelease): Reason {
  d.phase = { ...phase, after };
  d.arm('release', budgetMs(d, after));
  return 'releasing';
}
