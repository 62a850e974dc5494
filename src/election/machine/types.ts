import type { LeaseChange, LeaseRecord, StoredLease, StoreErrorKind } from '../store.ts';
import type { Timings } from '../timings.ts';
import type { LossReason } from '../types.ts';

export interface MachineSettings extends Timings {
  readonly identity: string;
}

/** Everything a step may know besides state and event. */
export interface Context {
  /** Monotonic milliseconds. */
  readonly now: number;
  /** Wall clock, for records only. */
  readonly wall: number;
  /** One uniform draw from [0, 1); every jitter of the step is made from it. */
  readonly random: number;
}

/**
 * What this candidate knows about the record. `freeAt`: monotonic time from which it may be claimed. `before`: the
 * record as it once was, which must be read again.
 */
export type Seen =
  | { readonly kind: 'unknown'; readonly before?: StoredLease }
  | { readonly kind: 'absent'; readonly freeAt: number }
  | {
      readonly kind: 'lease';
      readonly lease: StoredLease;
      /** When this content was first seen, by our clock; nothing in the record is trusted for time. */
      readonly since: number;
      readonly freeAt: number;
    };

/** What follows a release. */
export type AfterRelease =
  | { readonly then: 'campaign' }
  | { readonly then: 'pause'; readonly until: number }
  | { readonly then: 'stop' };

export interface Holding {
  readonly at: 'holding';
  /** The record as last written or seen; always names us. */
  readonly lease: StoredLease;
  /** When the last successful write was sent. */
  readonly renewedAt: number;
  /** We hold strictly before this: renewedAt + tenure, or less while the record is being re-created. */
  readonly validUntil: number;
  /** When the current round of renewal began. */
  readonly attemptAt: number;
  /** Conflicts answered by an immediate read in this round. */
  readonly conflicts: number;
  /** The record was deleted under us; a create is on its way. */
  readonly recreating: boolean;
  /** Renewals in a row, each within a period or so of the one before, that name us and are not ours. */
  readonly rival: Rival;
}

export interface Rival {
  readonly writes: number;
  /** When the last one was seen. */
  readonly at: number;
}

export interface Releasing {
  readonly at: 'releasing';
  /** Undefined when it must be read first: a claim was under way and its outcome is unknown. */
  readonly lease: StoredLease | undefined;
  readonly after: AfterRelease;
}

export type Phase =
  | { readonly at: 'idle' }
  | { readonly at: 'following'; readonly seen: Seen }
  | {
      readonly at: 'acquiring';
      readonly seen: Seen;
      /** What the watch told last while the claim was under way: it may be newer than the claim. */
      readonly news: LeaseChange | undefined;
    }
  | Holding
  | Releasing
  | { readonly at: 'paused'; readonly seen: Seen; readonly until: number }
  | { readonly at: 'stopped' };

export type TimerName =
  | 'poll' // candidate: read the record again; releasing: try again
  | 'take' // candidate: the record may be claimed now
  | 'renew' // holder: next renewal
  | 'deadline' // holder: tenure ends
  | 'call' // the call in flight has taken too long
  | 'release' // stop trying to release
  | 'pause'; // a resignation is over

export type CallOperation = 'read' | 'create' | 'update';

export interface Call {
  readonly id: number;
  readonly operation: CallOperation;
  readonly sentAt: number;
}

export interface State {
  readonly phase: Phase;
  /** At most one call is in flight. */
  readonly call: Call | undefined;
  /** Generation of each armed timer; an expiry with any other generation is void. */
  readonly timers: Readonly<Partial<Record<TimerName, number>>>;
  /** Last number given to a call or a timer. */
  readonly sequence: number;
  /** The holder last reported; undefined before the first report. */
  readonly holder: string | undefined;
  readonly transitions: number;
  /** renewTime of each of our last writes, answered or not: what else names us was written by somebody else. */
  readonly written: readonly string[];
  /** The last tenure was given up to another process of our name; a record that names us may be its. */
  readonly hasRival: boolean;
  /** Writes in a row that were refused because the record is another one than the API server says it is. */
  readonly refusals: number;
}

export type CallOutcome =
  { readonly ok: true; readonly lease: StoredLease } | { readonly ok: false; readonly error: StoreErrorKind };

export type Event =
  | { readonly kind: 'start' }
  | { readonly kind: 'timer'; readonly name: TimerName; readonly generation: number }
  | { readonly kind: 'result'; readonly call: number; readonly outcome: CallOutcome }
  | { readonly kind: 'watched'; readonly change: LeaseChange }
  | { readonly kind: 'recheck' }
  | { readonly kind: 'resign'; readonly pauseMs: number }
  | { readonly kind: 'stop' };

export type Effect =
  | { readonly do: 'read'; readonly call: number; readonly timeoutMs: number }
  | {
      readonly do: 'create';
      readonly call: number;
      readonly timeoutMs: number;
      readonly record: LeaseRecord;
    }
  | {
      readonly do: 'update';
      readonly call: number;
      readonly timeoutMs: number;
      readonly base: StoredLease;
      readonly record: LeaseRecord;
    }
  | { readonly do: 'cancel-call'; readonly call: number }
  | { readonly do: 'arm'; readonly name: TimerName; readonly ms: number; readonly generation: number }
  | { readonly do: 'disarm'; readonly name: TimerName }
  | { readonly do: 'acquired'; readonly validUntil: number; readonly renewedAt: number }
  | { readonly do: 'renewed'; readonly validUntil: number; readonly renewedAt: number }
  /** The tenure goes on, but only until then. */
  | { readonly do: 'shortened'; readonly validUntil: number }
  | { readonly do: 'lost'; readonly reason: LossReason }
  | { readonly do: 'observed'; readonly holder: string }
  | { readonly do: 'finished' };

/** Why an event changed nothing. */
export type IgnoredReason =
  | 'stale-timer'
  | 'stale-result'
  | 'stale-watch'
  | 'same-record'
  | 'not-campaigning'
  | 'already-asking'
  | 'already-started'
  | 'already-stopping';

export type Reason =
  | LossReason
  | IgnoredReason
  | StoreErrorKind
  | 'started'
  | 'polling'
  | 'held-by-other'
  | 'record-free'
  | 'claiming'
  | 'own-record'
  | 'acquired'
  | 'answer-too-late'
  | 'renewing'
  | 'renewed'
  | 'recreating'
  | 'rechecking'
  | 'releasing'
  | 'release-sent'
  | 'release-given-up'
  | 'pause-over'
  | 'stopped';

export interface StepResult {
  readonly state: State;
  /** To be carried out in this order. */
  readonly effects: readonly Effect[];
  readonly reason: Reason;
  readonly ignored: boolean;
}
