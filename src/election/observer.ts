import type { Context, Event, State, StepResult } from './machine/types.ts';

/** One step of a machine, complete: enough to count, to record and to replay. */
export interface ElectionStep {
  readonly event: Event;
  readonly context: Context;
  readonly before: State;
  readonly result: StepResult;
}

/** For metrics and recorders. Must not throw. */
export interface ElectionObserver {
  stepped?(step: ElectionStep): void;
}
