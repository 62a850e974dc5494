import { step as electionStep } from './machine/machine.ts';
import type { Step } from './machine/machine.ts';
import type { Context, Event, MachineSettings, Reason, State } from './machine/types.ts';
import type { ElectionObserver } from './observer.ts';

/** One step as it was: plain data, so that a recording survives JSON. */
export interface RecordedStep {
  readonly event: Event;
  readonly context: Context;
  readonly reason: Reason;
}

/** The last steps of a machine and the state before them: all that is needed to live through them again. */
export interface Recording {
  readonly start: State;
  readonly steps: readonly RecordedStep[];
}

export interface ElectionRecorder extends ElectionObserver {
  /** Undefined before the first step. */
  recording(): Recording | undefined;
}

/** Keeps the last `limit` steps; older ones are forgotten. */
export function createElectionRecorder(limit = 256): ElectionRecorder {
  const kept: (RecordedStep & { readonly before: State })[] = [];
  return {
    stepped: ({ event, context, before, result }) => {
      kept.push({ event: withoutRaw(event), context, before, reason: result.reason });
      if (kept.length > limit) kept.shift();
    },
    recording: () => {
      const [first] = kept;
      if (first === undefined) return undefined;
      const steps = kept.map(({ event, context, reason }) => ({ event, context, reason }));
      return { start: first.before, steps };
    },
  };
}

/** The store's own copy of a record is large, and means nothing to the machine. */
function withoutRaw(event: Event): Event {
  if (event.kind === 'watched' && event.change.kind === 'present') {
    return { ...event, change: { ...event.change, lease: { ...event.change.lease, raw: undefined } } };
  }
  if (event.kind === 'result' && event.outcome.ok) {
    return { ...event, outcome: { ...event.outcome, lease: { ...event.outcome.lease, raw: undefined } } };
  }
  return event;
}

export interface Replay {
  readonly end: State;
  readonly reasons: readonly Reason[];
  /** Index of the first step that went another way than recorded; undefined when all went the same. */
  readonly divergedAt: number | undefined;
}

/** Lives through a recording again, with this machine or another. */
export function replay(settings: MachineSettings, recording: Recording, step: Step = electionStep): Replay {
  let state = recording.start;
  const reasons: Reason[] = [];
  for (const { event, context } of recording.steps) {
    const result = step(settings, state, event, context);
    state = result.state;
    reasons.push(result.reason);
  }
  const divergedAt = reasons.findIndex((reason, index) => reason !== recording.steps[index]?.reason);
  return { end: state, reasons, divergedAt: divergedAt < 0 ? undefined : divergedAt };
}
