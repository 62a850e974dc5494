import type { LeaseChange, StoredLease, StoreErrorKind } from '../store.ts';
import { jitterFactor, tenureMs } from '../timings.ts';
import type { Draft } from './draft.ts';
import { newsOf, seeAbsent, seeLease, settleMs, spreadMs } from './observation.ts';
import { becomeHolder, onHoldingWatch } from './holding.ts';
import { release } from './releasing.ts';
import type { Call, CallOutcome, Phase, Reason, Seen, TimerName } from './types.ts';

type Following = Extract<Phase, { at: 'following' }>;
type Acquiring = Extract<Phase, { at: 'acquiring' }>;
type Paused = Extract<Phase, { at: 'paused' }>;

/** Candidate: waits, by its own clock, until the record may be claimed; polls meanwhile. */
export function follow(d: Draft, seen: Seen): Reason {
  d.enter({ at: 'following', seen });
  return plan(d, seen);
}

/** Candidate whose last call failed: no new claim before a poll has shown how things stand. */
export function followAfterFailure(d: Draft, seen: Seen, error: StoreErrorKind): void {
  d.enter({ at: 'following', seen });
  pollAfter(d, seen, error);
}

/** A call that hung has waited long enough while nobody holds. */
function pollAfter(d: Draft, seen: Seen, error: StoreErrorKind): void {
  if (error === 'timeout' && isFree(d, seen)) d.arm('poll', d.random * spreadMs);
  else armPoll(d, seen);
}

function plan(d: Draft, seen: Seen): Reason {
  if (seen.kind === 'unknown') {
    d.read();
    return 'polling';
  }
  // Only a tenure of somebody else takes a race to its end; a record about to be free is still the one refused.
  if (seen.freeAt - d.now > settleMs + spreadMs) d.refusals = 0;
  d.arm('take', Math.max(seen.freeAt - d.now, d.isRefusedAgain ? d.settings.retryPeriodMs / 2 : 0));
  armPoll(d, seen);
  if (seen.kind === 'absent') return 'not-found';
  const holder = seen.lease.record.holderIdentity;
  if (holder === d.settings.identity) return 'own-record';
  return holder === '' ? 'record-free' : 'held-by-other';
}

/** client-go's rhythm while somebody holds; within one retry period when nobody does and calls fail. */
function armPoll(d: Draft, seen: Seen): void {
  const factor = isFree(d, seen) ? 0.5 + d.random * 0.4 : 1 + d.random * jitterFactor;
  d.arm('poll', d.settings.retryPeriodMs * factor);
}

function isFree(d: Draft, seen: Seen): boolean {
  return seen.kind === 'unknown' || d.now >= seen.freeAt;
}

/** `take`: the record is old enough by our clock, so it is claimed. Every other timer is a poll. */
export function onFollowingTimer(d: Draft, phase: Following, name: TimerName): Reason {
  if (name !== 'take' || phase.seen.kind === 'unknown') {
    d.read();
    return 'polling';
  }
  d.enter({ at: 'acquiring', seen: phase.seen, news: undefined });
  d.claim(phase.seen.kind === 'lease' ? phase.seen.lease : undefined);
  return 'claiming';
}

/** The answer to a poll. */
export function onFollowingResult(d: Draft, phase: Following, outcome: CallOutcome): Reason {
  // News cancels a call, so an older version than the one known is no late answer: the store itself went back.
  if (outcome.ok) return see(d, seeLease(phase.seen, outcome.lease, d.settings, d));
  if (outcome.error === 'not-found') return see(d, seeAbsent(phase.seen, d.settings, d));
  pollAfter(d, phase.seen, outcome.error);
  return outcome.error;
}

function see(d: Draft, seen: Seen): Reason {
  d.report(knownLease(seen)?.record);
  return follow(d, seen);
}

/** Only news moves the candidate; what cannot be put in order with what it has read is read. */
export function onFollowingWatch(d: Draft, phase: Following, change: LeaseChange): Reason {
  switch (newsOf(knownLease(phase.seen), change)) {
    case 'stale':
      return 'stale-watch';
    case 'same':
      return 'same-record';
    case 'unclear':
      d.read();
      return 'rechecking';
    case 'new':
      return see(d, fold(d, phase.seen, change));
  }
}

/** The claim was answered. A claim counts from the moment it was sent, never from the answer. */
export function onAcquiringResult(d: Draft, phase: Acquiring, call: Call, outcome: CallOutcome): Reason {
  if (!outcome.ok) return claimFailed(d, phase, call, outcome.error);
  const { lease } = outcome;
  if (isOvertaken(d, phase, lease)) return see(d, phase.seen);
  const held = lease.record.holderIdentity === d.settings.identity;
  if (!held || d.now >= call.sentAt + tenureMs(d.settings)) {
    const reason = see(d, seeLease(phase.seen, lease, d.settings, d));
    return held ? 'answer-too-late' : reason;
  }
  const reason = becomeHolder(d, lease, call.sentAt);
  if (phase.news !== undefined && d.phase.at === 'holding') onHoldingWatch(d, d.phase, phase.news);
  return reason;
}

/** The watch was faster than the answer, and told that the claim has already been overwritten. */
function isOvertaken(d: Draft, { news }: Acquiring, claimed: StoredLease): boolean {
  if (news?.kind !== 'present' || newsOf(claimed, news) !== 'new') return false;
  return news.lease.record.holderIdentity !== d.settings.identity;
}

function claimFailed(d: Draft, phase: Acquiring, call: Call, error: StoreErrorKind): Reason {
  if (error === 'conflict' || error === 'already-exists') {
    d.refusals++;
    d.enter({ at: 'following', seen: phase.seen });
    d.read();
  } else if (error === 'not-found' && call.operation === 'update') {
    see(d, seeAbsent(phase.seen, d.settings, d));
  } else {
    // Creating, too, can find nothing: the namespace. It may come.
    followAfterFailure(d, phase.seen, error);
  }
  return error;
}

/** Only remembered: the claim in flight is based on an exact version, so its answer decides. */
export function onAcquiringWatch(d: Draft, phase: Acquiring, change: LeaseChange): Reason {
  const news = newsOf(knownLease(phase.seen), change);
  if (news === 'stale') return 'stale-watch';
  if (news === 'same') return 'same-record';
  d.phase = { ...phase, news: change, seen: news === 'new' ? fold(d, phase.seen, change) : phase.seen };
  return 'claiming';
}

/** Who holds is reported, and nothing is claimed: the pause ends by its timer. */
export function onPausedWatch(d: Draft, phase: Paused, change: LeaseChange): Reason {
  if (newsOf(knownLease(phase.seen), change) === 'stale') return 'stale-watch';
  const seen = fold(d, phase.seen, change);
  d.report(knownLease(seen)?.record);
  d.phase = { ...phase, seen };
  return 'not-campaigning';
}

/** Out of the race until then; what the watch tells is still reported. */
export function pause(d: Draft, seen: Seen, until: number): void {
  d.enter({ at: 'paused', seen, until });
  d.arm('pause', until - d.now);
}

/** Leaves the race; a record that may name us is released first. */
export function withdraw(d: Draft, phase: Following | Acquiring, pauseUntil: number | undefined): Reason {
  const after = pauseUntil === undefined ? ({ then: 'stop' } as const) : pausedUntil(pauseUntil);
  const known = knownLease(phase.seen);
  if (phase.at === 'acquiring') return release(d, undefined, after);
  const isOurs = known?.record.holderIdentity === d.settings.identity;
  if (isOurs && (!d.hasRival || d.wrote(known.record))) return release(d, known, after);
  if (pauseUntil === undefined) return stop(d);
  pause(d, phase.seen, pauseUntil);
  return 'resigned';
}

function pausedUntil(until: number): { readonly then: 'pause'; readonly until: number } {
  return { then: 'pause', until };
}

/** The end: no event means anything from now on. */
export function stop(d: Draft): Reason {
  d.enter({ at: 'stopped' });
  d.emit({ do: 'finished' });
  return 'stopped';
}

/** The lease that was seen last; undefined while nothing is known, or there is none. */
export function knownLease(seen: Seen): Extract<Seen, { kind: 'lease' }>['lease'] | undefined {
  return seen.kind === 'lease' ? seen.lease : undefined;
}

/** What is known after this change. */
export function fold(d: Draft, seen: Seen, change: LeaseChange): Seen {
  return change.kind === 'present'
    ? seeLease(seen, change.lease, d.settings, d)
    : seeAbsent(seen, d.settings, d);
}
