/**
 * The election of one candidate over one record, as a pure function.
 *
 *   idle ──start──▶ following ──record free──▶ acquiring ──written──▶ holding
 *                    ▲  ▲  │                       │                  │  │ renew ↺
 *                    │  │  └── pause ◀─┐           └── refused ──▶ following
 *                    │  └── over ──┘   │                              │  │
 *                    │               paused ◀── resigned ── releasing ◀──┤ deadline, resign, stop
 *                    │                                          │        │
 *                    └──────────── taken, deleted ◀─────────────┼────────┘
 *                                                            stopped
 *
 * Invariants
 * - `lost` comes before any write that gives the record back, and `acquired` after the write that took it.
 * - Tenure is measured from the moment the last successful write was sent, on the monotonic clock;
 *   every event, whatever it is, is preceded by the check whether that tenure is over.
 * - A record is claimed only on the exact version seen, and one held by another only after its
 *   content stood still for its whole duration by our own clock.
 * - At most one call is in flight; an answer to any other call means nothing.
 * - Of several processes with one name the one that came last keeps the record: see `ownRecord`.
 */
import { Draft } from './draft.ts';
import {
  follow,
  onAcquiringResult,
  onAcquiringWatch,
  onFollowingResult,
  onFollowingTimer,
  onFollowingWatch,
  onPausedWatch,
  pause,
  stop,
  withdraw,
} from './following.ts';
import { expire, giveUp, onHoldingResult, onHoldingWatch, onHoldingTimer, recheck } from './holding.ts';
import {
  onReleaseRetry,
  onReleaseTimeout,
  onReleasingResult,
  onReleasingWatch,
  releaseInto,
} from './releasing.ts';
import type {
  Call,
  CallOutcome,
  Context,
  Event,
  IgnoredReason,
  MachineSettings,
  Reason,
  State,
  StepResult,
  TimerName,
} from './types.ts';

export const initialState: State = {
  phase: { at: 'idle' },
  call: undefined,
  timers: {},
  sequence: 0,
  holder: undefined,
  transitions: 0,
  written: [],
  hasRival: false,
  refusals: 0,
};

export type Step = (settings: MachineSettings, state: State, event: Event, context: Context) => StepResult;

const ignoredReasons: ReadonlySet<Reason> = new Set<IgnoredReason>([
  'stale-timer',
  'stale-result',
  'stale-watch',
  'same-record',
  'not-campaigning',
  'already-asking',
  'already-started',
  'already-stopping',
]);

/** One step of the election: the next state, what to do now, and why. */
export const step: Step = (settings, state, event, context) => {
  const d = new Draft(settings, state, context);
  const { phase } = d;
  const over = phase.at === 'holding' && context.now >= phase.validUntil ? expire(d, phase) : undefined;
  const reason = dispatch(d, event);
  const ignored = ignoredReasons.has(reason);
  return d.result(over !== undefined && ignored ? over : reason, over === undefined && ignored);
};

function dispatch(d: Draft, event: Event): Reason {
  switch (event.kind) {
    case 'start':
      return onStart(d);
    case 'timer':
      return d.expires(event.name, event.generation) ? onTimer(d, event.name) : 'stale-timer';
    case 'result':
      return d.currentCall?.id === event.call ? onResult(d, d.currentCall, event.outcome) : 'stale-result';
    case 'watched':
      return onWatched(d, event);
    case 'recheck':
      return onRecheck(d);
    case 'resign':
      return onResign(d, d.now + Math.max(0, event.pauseMs));
    case 'stop':
      return onStop(d);
  }
}

function onStart(d: Draft): Reason {
  if (d.phase.at !== 'idle') return 'already-started';
  follow(d, { kind: 'unknown' });
  return 'started';
}

function onTimer(d: Draft, name: TimerName): Reason {
  const { phase, currentCall } = d;
  if (name === 'call' && currentCall !== undefined) {
    d.emit({ do: 'cancel-call', call: currentCall.id });
    return onResult(d, currentCall, { ok: false, error: 'timeout' });
  }
  switch (phase.at) {
    case 'following':
      return onFollowingTimer(d, phase, name);
    case 'holding':
      return onHoldingTimer(d, phase, name);
    case 'releasing':
      return name === 'release' ? onReleaseTimeout(d, phase) : onReleaseRetry(d, phase);
    case 'paused':
      follow(d, phase.seen);
      return 'pause-over';
    case 'idle':
    case 'acquiring':
    case 'stopped':
      return 'stale-timer';
  }
}

function onResult(d: Draft, call: Call, outcome: CallOutcome): Reason {
  d.endCall();
  const { phase } = d;
  switch (phase.at) {
    case 'following':
      return onFollowingResult(d, phase, outcome);
    case 'acquiring':
      return onAcquiringResult(d, phase, call, outcome);
    case 'holding':
      return onHoldingResult(d, phase, call, outcome);
    case 'releasing':
      return onReleasingResult(d, phase, outcome, call.operation === 'read');
    case 'idle':
    case 'paused':
    case 'stopped':
      return 'stale-result';
  }
}

function onWatched(d: Draft, event: Extract<Event, { kind: 'watched' }>): Reason {
  const { phase } = d;
  switch (phase.at) {
    case 'following':
      return onFollowingWatch(d, phase, event.change);
    case 'acquiring':
      return onAcquiringWatch(d, phase, event.change);
    case 'holding':
      return onHoldingWatch(d, phase, event.change);
    case 'releasing':
      return onReleasingWatch(d, phase, event.change);
    case 'paused':
      return onPausedWatch(d, phase, event.change);
    case 'idle':
    case 'stopped':
      return 'not-campaigning';
  }
}

function onRecheck(d: Draft): Reason {
  const { phase } = d;
  if (phase.at === 'holding') return recheck(d, phase);
  if (phase.at !== 'following') return 'not-campaigning';
  if (d.currentCall !== undefined) return 'already-asking';
  d.read();
  return 'rechecking';
}

function onResign(d: Draft, until: number): Reason {
  const { phase } = d;
  switch (phase.at) {
    case 'holding':
      return giveUp(d, phase, 'resigned', { then: 'pause', until });
    case 'following':
    case 'acquiring':
      return withdraw(d, phase, until);
    case 'paused':
      pause(d, phase.seen, Math.max(until, phase.until));
      return 'resigned';
    case 'releasing':
      return phase.after.then === 'stop'
        ? 'already-stopping'
        : releaseInto(d, phase, { then: 'pause', until });
    case 'idle':
    case 'stopped':
      return 'not-campaigning';
  }
}

function onStop(d: Draft): Reason {
  const { phase } = d;
  switch (phase.at) {
    case 'holding':
      return giveUp(d, phase, 'released', { then: 'stop' });
    case 'following':
    case 'acquiring':
      return withdraw(d, phase, undefined);
    case 'releasing':
      return phase.after.then === 'stop' ? 'already-stopping' : releaseInto(d, phase, { then: 'stop' });
    case 'idle':
    case 'paused':
      return stop(d);
    case 'stopped':
      return 'already-stopping';
  }
}
