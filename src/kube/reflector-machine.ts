import { backoffMs } from '../lib/backoff.ts';
import type { Random } from '../lib/clock.ts';
import type { KubeErrorKind } from './types.ts';

/** What the reflector does next, and when. */
export interface ReflectorStep {
  readonly state: ReflectorState;
  readonly waitMs: number;
  readonly reason: ReflectorReason;
}

/** Closed list; the same words in logs and status. */
export type ReflectorReason =
  | 'start'
  | 'listed'
  | 'watch-ended' // in order, at its own timeout
  | 'watch-too-short' // ended in order as soon as it had begun
  | 'list-failed'
  | 'watch-failed'
  | 'version-gone';

export interface ReflectorState {
  readonly next: 'list' | 'watch';
  /** Where a watch continues. */
  readonly resourceVersion: string;
  /** Failures in a row since the server last told us something. */
  readonly failures: number;
  /** The version is that of a list, and no watch has lived with it. */
  readonly isFresh: boolean;
}

export type ReflectorOutcome =
  | { readonly type: 'listed'; readonly resourceVersion: string }
  | { readonly type: 'list-failed'; readonly kind: KubeErrorKind; readonly retryAfterMs: number | undefined }
  | (WatchLife & { readonly type: 'watch-ended' })
  | (WatchLife & {
      readonly type: 'watch-failed';
      readonly kind: KubeErrorKind;
      readonly retryAfterMs: number | undefined;
    });

interface WatchLife {
  /** Version of the last event or bookmark, or the one the watch began with. */
  readonly resourceVersion: string;
  /** Events and bookmarks received. */
  readonly heard: number;
  readonly livedMs: number;
}

/** A watch that told something or lived this long proves that the server is well; only the latter may be followed at once by what it costs. */
const HEALTHY_WATCH_MS = 1000;
/** Servers ask for a second or a few; what asks for more must not keep us blind for longer than other errors. */
const MAX_RETRY_AFTER_MS = 10_000;
const BASE_MS = 100;

/** An unreachable server costs nothing to try; one that answers with errors deserves peace. */
function maxWaitMs(kind: KubeErrorKind | 'short'): number {
  if (kind === 'unreachable' || kind === 'timeout') return 2000;
  // Rights that are given back count soon, and refusing costs a server little.
  if (kind === 'forbidden' || kind === 'unauthorized') return 4000;
  return kind === 'not-found' ? 30_000 : 10_000;
}

export const initialReflectorState: ReflectorState = {
  next: 'list',
  resourceVersion: '',
  failures: 0,
  isFresh: true,
};

/**
 * Decides what follows an outcome. A watch continues from the last version it knows; only a version
 * that is gone, or bytes that cannot be trusted, cost a new list.
 */
export function reflectorStep(
  state: ReflectorState,
  outcome: ReflectorOutcome,
  random: Random,
): ReflectorStep {
  switch (outcome.type) {
    case 'listed':
      // Failures are not forgotten here: a list that works and a watch that always fails must not spin.
      return {
        state: {
          next: 'watch',
          resourceVersion: outcome.resourceVersion,
          failures: state.failures,
          isFresh: true,
        },
        waitMs: 0,
        reason: 'listed',
      };
    case 'list-failed':
      return failed('list', state, outcome, 'list-failed', random);
    case 'watch-ended':
      return hasLived(outcome)
        ? { state: after(state, outcome), waitMs: 0, reason: 'watch-ended' }
        : failed('watch', after(state, outcome), { kind: 'short' }, 'watch-too-short', random);
    case 'watch-failed':
      return watchFailed(state, outcome, random);
  }
}

function watchFailed(
  before: ReflectorState,
  outcome: ReflectorOutcome & { readonly type: 'watch-failed' },
  random: Random,
): ReflectorStep {
  const needsList = outcome.kind === 'gone' || outcome.kind === 'garbage';
  const state = after(before, outcome, needsList ? hasLived(outcome) : isHealthy(outcome));
  if (outcome.kind === 'gone' && !state.isFresh) {
    // Whatever failed before: this is the answer of a server that works, and a list will do.
    const failures = Math.max(1, state.failures);
    return { state: relisting(failures), waitMs: 0, reason: 'version-gone' };
  }
  const reason = outcome.kind === 'gone' ? 'version-gone' : 'watch-failed';
  return failed(needsList ? 'list' : 'watch', state, outcome, reason, random);
}

/** The state with what a watch taught before it ended. */
function after(state: ReflectorState, life: WatchLife, isWell = isHealthy(life)): ReflectorState {
  return {
    next: 'watch',
    resourceVersion: life.resourceVersion,
    failures: isWell ? 0 : state.failures,
    isFresh: state.isFresh && !hasLived(life),
  };
}

function hasLived({ livedMs }: WatchLife): boolean {
  return livedMs >= HEALTHY_WATCH_MS;
}

function isHealthy(life: WatchLife): boolean {
  return life.heard > 0 || hasLived(life);
}

function failed(
  next: 'list' | 'watch',
  state: ReflectorState,
  failure: { readonly kind: KubeErrorKind | 'short'; readonly retryAfterMs?: number | undefined },
  reason: ReflectorReason,
  random: Random,
): ReflectorStep {
  const failures = state.failures + 1;
  const backoff = backoffMs(failures, { baseMs: BASE_MS, maxMs: maxWaitMs(failure.kind) }, random);
  const asked = Math.min(failure.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
  const after = next === 'list' ? relisting(failures) : { ...state, next, failures };
  return { state: after, waitMs: Math.max(backoff, asked), reason };
}

function relisting(failures: number): ReflectorState {
  return { next: 'list', resourceVersion: '', failures, isFresh: true };
}
