import { attempt } from '../lib/attempt.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';

/** Outcome of one check of the local API server: undefined is healthy, a text says what was wrong. */
export type Probe = (signal: AbortSignal) => Promise<string | undefined>;

export interface GateState {
  readonly failures: number;
  /** Closed: this node should not hold the VIP. */
  readonly closed: boolean;
}

export const openGate: GateState = { failures: 0, closed: false };
/** Nothing is known yet, and that is not enough. */
const closedGate: GateState = { failures: 0, closed: true };

/** Counts failures in a row; one success opens the gate, `threshold` failures close it. */
export function stepGate(state: GateState, healthy: boolean, threshold: number): GateState {
  if (healthy) return openGate;
  const failures = state.failures + 1;
  return { failures, closed: state.closed || failures >= threshold };
}

export interface HealthGateOptions {
  readonly periodMs: number;
  /** 0 means none of its own (the period bounds it). */
  readonly timeoutMs: number;
  readonly failureThreshold: number;
  /** Closed until the first good check; open until the threshold when absent. */
  readonly startsClosed?: boolean;
}

export interface HealthGateListener {
  /** Called at every failed check while the gate is closed. */
  closed(why: string, failures: number): void;
  reopened(): void;
}

/** Checks at once, then every period, until the signal aborts. Checks never overlap. */
export async function runHealthGate(
  probe: Probe,
  options: HealthGateOptions,
  listener: HealthGateListener,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  // Read through a function: the signal may abort during any await.
  const stopped = (): boolean => signal.aborted;
  let state = options.startsClosed === true ? closedGate : openGate;
  while (!stopped()) {
    const started = clock.now();
    const problem = await checkOnce(probe, options, clock, signal);
    if (stopped()) return;
    const before = state;
    state = stepGate(state, problem === undefined, options.failureThreshold);
    if (state.closed && problem !== undefined) listener.closed(problem, state.failures);
    else if (before.closed && !state.closed) listener.reopened();
    await clock.sleep('health-check', Math.max(0, started + options.periodMs - clock.now()), signal);
  }
}

async function checkOnce(
  probe: Probe,
  options: HealthGateOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const limit = options.timeoutMs > 0 ? options.timeoutMs : options.periodMs;
  try {
    return await attempt(clock, 'health-check-timeout', limit, signal, probe);
  } catch (error) {
    return messageOf(error);
  }
}
