import type { GratuitousForm } from '../arp/index.ts';

/*
 * When a VIP is announced, and in which form:
 *
 *   start ──► burst 0, 50, 200, 500, 1000, 2000 ms: both forms each time
 *         ──► refresh, every period: one form, reply and request in turn, for each VIP on its own
 *
 * Neighbour advertisements have one form only; for them a turn of any form means one frame.
 */

/** Milliseconds after the start at which the opening burst is sent. */
export const burstOffsetsMs: readonly number[] = [0, 50, 200, 500, 1000, 2000];

export interface AnnounceState {
  readonly startedAt: number;
  /** Instants of the burst that are over; all of them in the refresh phase. */
  readonly burstsDone: number;
  /** The form of the next refresh. */
  readonly nextForm: GratuitousForm;
  /** Monotonic milliseconds at which something is to be sent. */
  readonly nextAt: number;
}

export interface AnnounceOptions {
  readonly periodMs: number;
  /**
   * 0 to 1: where in the second half of a period the first refresh lies; 0 is its very end. It
   * keeps VIPs that were taken over together from being refreshed together for ever.
   */
  readonly phase: number;
}

export interface AnnounceStep {
  readonly state: AnnounceState;
  /** What to send now; nothing when it is too early. */
  readonly forms: readonly GratuitousForm[];
}

const none: readonly GratuitousForm[] = [];
const both: readonly GratuitousForm[] = ['reply', 'request'];
const alone = { reply: ['reply'], request: ['request'] } as const;

/** The VIP has just become usable here (or a neighbour's memory may have become stale): send at once. */
export function startAnnouncing(now: number): AnnounceState {
  return { startedAt: now, burstsDone: 0, nextForm: 'reply', nextAt: now };
}

/**
 * What is due at `now`. After a pause one turn makes up for all that were missed: neighbours need
 * the fact once, not as often as we were late.
 */
export function stepAnnouncement(state: AnnounceState, now: number, options: AnnounceOptions): AnnounceStep {
  if (now < state.nextAt) return { state, forms: none };
  return isRefreshing(state) ? stepRefresh(state, now, options) : stepBurst(state, now, options);
}

/** The opening burst is over. */
export function isRefreshing(state: AnnounceState): boolean {
  return state.burstsDone >= burstOffsetsMs.length;
}

function stepBurst(state: AnnounceState, now: number, options: AnnounceOptions): AnnounceStep {
  const elapsed = now - state.startedAt;
  let burstsDone = state.burstsDone + 1;
  for (; burstsDone < burstOffsetsMs.length; burstsDone++) {
    if ((burstOffsetsMs[burstsDone] ?? 0) > elapsed) break;
  }
  const offset = burstOffsetsMs[burstsDone];
  const nextAt =
    offset === undefined ? now + options.periodMs * (1 - options.phase / 2) : state.startedAt + offset;
  const { startedAt, nextForm } = state;
  return { state: { startedAt, burstsDone, nextForm, nextAt }, forms: both };
}

function stepRefresh(state: AnnounceState, now: number, options: AnnounceOptions): AnnounceStep {
  const nextForm = state.nextForm === 'reply' ? 'request' : 'reply';
  // Timers fire late by a little, never early: counting from the plan keeps the rate exact.
  const onPlan = state.nextAt + options.periodMs;
  const nextAt = onPlan > now + options.periodMs / 2 ? onPlan : now + options.periodMs;
  const { startedAt, burstsDone } = state;
  return { state: { startedAt, burstsDone, nextForm, nextAt }, forms: alone[state.nextForm] };
}
