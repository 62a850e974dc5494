import { sameRecord, type LeaseChange, type StoredLease, type StoreErrorKind } from '../store.ts';
import { tenureMs } from '../timings.ts';
import type { LossReason } from '../types.ts';
import type { Draft } from './draft.ts';
import { fold, follow, followAfterFailure } from './following.ts';
import { newsOf } from './observation.ts';
import { release } from './releasing.ts';
import type { AfterRelease, Call, CallOutcome, Holding, Reason, Rival, Seen, TimerName } from './types.ts';

/**
 * How long a holder keeps its VIP while it re-creates a deleted record. Candidates of this program
 * wait longer before they create one, so the holder keeps its place without a gap; with candidates
 * that do not wait, two holders last at most the delay of the watch plus this.
 */
const recreateGraceMs = 50;
/** Shortest wait between two tries to renew. */
const minRetryMs = 100;
const minStalledRetryMs = 10;
const minRecheckMs = 100;
const maxConflicts = 3;
/** Renewals by somebody else in our name that end a tenure: one or two may be a hand, three in a row are a process. */
const rivalWrites = 3;
/** A rival's renewals come a retry period apart, or at once in answer to ours. */
const rivalPeriods = 1.5;
const noRival: Rival = { writes: 0, at: 0 };

/** @param sentAt when the claim was sent: the tenure counts from there (ADR 3). */
export function becomeHolder(d: Draft, lease: StoredLease, sentAt: number): Reason {
  d.hasRival = false;
  d.refusals = 0;
  d.emit({ do: 'acquired', renewedAt: sentAt, validUntil: hold(d, lease, sentAt, noRival) });
  d.report(lease.record);
  return 'acquired';
}

/** A successful write, valid from the moment it was sent: the record cannot be older than that for others. */
function hold(d: Draft, lease: StoredLease, sentAt: number, rival: Rival): number {
  const validUntil = sentAt + tenureMs(d.settings);
  d.enter({
    at: 'holding',
    lease,
    renewedAt: sentAt,
    validUntil,
    attemptAt: sentAt,
    conflicts: 0,
    recreating: false,
    rival,
  });
  d.arm('deadline', validUntil - d.now);
  d.arm('renew', sentAt + d.settings.retryPeriodMs - d.now);
  return validUntil;
}

/** `renew` sends a renewal; `deadline` is only a reminder to look at the clock. */
export function onHoldingTimer(d: Draft, phase: Holding, name: TimerName): Reason {
  if (name === 'deadline') {
    // Early, or the tenure would have ended before this: timers are never trusted for validity.
    d.arm('deadline', Math.max(1, phase.validUntil - d.now));
    return 'stale-timer';
  }
  d.phase = { ...phase, attemptAt: d.now, conflicts: 0 };
  d.claim(phase.lease, phase.validUntil - d.now);
  return 'renewing';
}

/** The answer to a renewal, or to a look at the record that a doubt has asked for. */
export function onHoldingResult(d: Draft, phase: Holding, call: Call, outcome: CallOutcome): Reason {
  if (!outcome.ok) return callFailed(d, phase, call, outcome.error);
  // Overtaken by the watch: the write still counts, but what the watch brought is the newer record. What a read brings
  // is how things stand, an older version too: after etcd was restored no write on the one known would ever succeed.
  const news = newsOf(phase.lease, { kind: 'present', lease: outcome.lease });
  const overtaken = call.operation !== 'read' && news === 'stale';
  const lease = overtaken ? phase.lease : outcome.lease;
  if (lease.record.holderIdentity !== d.settings.identity) return taken(d, phase, lease);
  if (call.operation === 'read') {
    const rival = rivalAfter(d, phase, lease);
    if (rival.writes >= rivalWrites) return yieldTo(d, phase, lease);
    d.phase = { ...phase, lease, recreating: false, rival };
    d.claim(lease, phase.validUntil - d.now);
    return 'renewing';
  }
  const validUntil = hold(d, lease, call.sentAt, phase.rival);
  d.emit({ do: 'renewed', validUntil, renewedAt: call.sentAt });
  d.report(lease.record);
  return 'renewed';
}

function callFailed(d: Draft, phase: Holding, call: Call, error: StoreErrorKind): Reason {
  if (call.operation === 'create') {
    if (error === 'already-exists' || error === 'conflict') return ask(d, phase, error);
    d.lose('deleted');
    d.report(undefined);
    followAfterFailure(d, { kind: 'absent', freeAt: d.now }, error);
    return 'deleted';
  }
  if (error === 'not-found') return recreate(d, phase);
  if (error === 'conflict' && phase.conflicts < maxConflicts) {
    return ask(d, { ...phase, conflicts: phase.conflicts + 1 }, error);
  }
  return tryAgain(d, phase, error);
}

/** The slow path of client-go, without waiting for the next period: read, and renew on what was read. */
function ask(d: Draft, phase: Holding, reason: Reason): Reason {
  d.phase = phase;
  d.read(phase.validUntil - d.now);
  return reason;
}

/**
 * A stalled call has used its time and is followed at once; quick failures get closer to each other
 * as the deadline does.
 */
function tryAgain(d: Draft, phase: Holding, reason: Reason): Reason {
  const { retryPeriodMs } = d.settings;
  const stalled = reason === 'timeout';
  const rest = stalled ? phase.attemptAt + retryPeriodMs - d.now : retryPeriodMs;
  const ms = Math.min(rest, (phase.validUntil - d.now) / 2);
  d.arm('renew', Math.max(stalled ? minStalledRetryMs : minRetryMs, ms));
  return reason;
}

function taken(d: Draft, phase: Holding, lease: StoredLease): Reason {
  d.lose('taken');
  d.report(lease.record);
  follow(d, fold(d, ownLease(d, phase), { kind: 'present', lease }));
  return 'taken';
}

/** The record is gone, so nobody else holds yet: keep the place for a moment and create it anew. */
function recreate(d: Draft, phase: Holding): Reason {
  const validUntil = Math.min(phase.validUntil, d.now + recreateGraceMs);
  d.phase = { ...phase, recreating: true, validUntil, attemptAt: d.now };
  d.disarm('renew');
  d.arm('deadline', validUntil - d.now);
  d.emit({ do: 'shortened', validUntil });
  d.claim(undefined);
  return 'recreating';
}

/** A record that is gone is made anew, one that names another ends the tenure, and one of ours may be a rival's. */
export function onHoldingWatch(d: Draft, phase: Holding, change: LeaseChange): Reason {
  const news = newsOf(phase.lease, change);
  if (news === 'same') return 'same-record';
  if (news === 'unclear') return lookUp(d, phase);
  if (change.kind === 'absent') return phase.recreating ? 'already-asking' : recreate(d, phase);
  const isOurs = change.lease.record.holderIdentity === d.settings.identity;
  // Old news that names another is late, or etcd was restored.
  if (news === 'stale') return isOurs ? 'stale-watch' : recheck(d, phase);
  return isOurs ? ownRecord(d, phase, change.lease) : taken(d, phase, change.lease);
}

/**
 * A newer record that names us. Usually it is our own write, or an annotation; if not, ours is put back at once.
 * Where another process has our name (two nodes of one host name) each is thus told of the other within
 * milliseconds, and the third renewal that is not its own makes a holder give up: the one that answered last, which is
 * the one that came last, stays. A restarted process takes its record over from a predecessor that still lives alike.
 */
function ownRecord(d: Draft, phase: Holding, lease: StoredLease): Reason {
  const rival = rivalAfter(d, phase, lease);
  if (rival.writes >= rivalWrites) return yieldTo(d, phase, lease);
  d.phase = { ...phase, lease, rival };
  d.report(lease.record);
  const isChanged = !sameRecord(phase.lease.record, lease.record) && !d.wrote(lease.record);
  const isDue = rival !== phase.rival || d.now >= phase.attemptAt + minRecheckMs;
  if (!isChanged || !isDue || d.currentCall !== undefined) return 'own-record';
  d.phase = { ...d.phase, attemptAt: d.now, conflicts: 0 };
  d.disarm('renew');
  d.claim(lease, phase.validUntil - d.now);
  return 'renewing';
}

/** What is known about others of our name once this record has been seen. */
function rivalAfter(d: Draft, { lease: known, rival }: Holding, { record }: StoredLease): Rival {
  if (record.renewTime === known.record.renewTime || d.wrote(record)) return rival;
  const isNext = d.now <= rival.at + rivalPeriods * d.settings.retryPeriodMs;
  return { writes: isNext ? rival.writes + 1 : 1, at: d.now };
}

/** The record now counts as held by somebody else, whatever it says. */
function yieldTo(d: Draft, phase: Holding, lease: StoredLease): Reason {
  d.hasRival = true;
  d.lose('same-name');
  d.report(lease.record);
  follow(d, fold(d, ownLease(d, phase), { kind: 'present', lease }));
  return 'same-name';
}

/** A call in flight, or one just made, tells as much as another one: a flood of doubts is no flood of calls. */
export function recheck(d: Draft, phase: Holding): Reason {
  if (d.currentCall !== undefined || d.now < phase.attemptAt + minRecheckMs) return 'already-asking';
  return lookUp(d, phase);
}

function lookUp(d: Draft, phase: Holding): Reason {
  if (d.currentCall !== undefined) return 'already-asking';
  d.phase = { ...phase, attemptAt: d.now, conflicts: 0 };
  d.disarm('renew');
  d.read(phase.validUntil - d.now);
  return 'rechecking';
}

/** The tenure is over by the clock. Called before any event is looked at. */
export function expire(d: Draft, phase: Holding): Reason {
  if (!phase.recreating) return giveUp(d, phase, 'renew-deadline', { then: 'campaign' });
  d.lose('deleted');
  d.report(undefined);
  const seen: Seen = { kind: 'absent', freeAt: d.now };
  if (d.currentCall?.operation !== 'create') follow(d, { kind: 'unknown' });
  else d.enter({ at: 'acquiring', seen, news: undefined }, 'keep-call');
  return 'deleted';
}

/** VIP first, record second. */
export function giveUp(d: Draft, phase: Holding, reason: LossReason, after: AfterRelease): Reason {
  d.lose(reason);
  release(d, phase.recreating ? undefined : phase.lease, after);
  return reason;
}

function ownLease(d: Draft, phase: Holding): Seen {
  return { kind: 'lease', lease: phase.lease, since: phase.renewedAt, freeAt: d.now };
}
