import assert from 'node:assert/strict';
import { initialState, step } from '../../../src/election/machine/machine.ts';
import type {
  CallOutcome,
  Effect,
  Event,
  MachineSettings,
  State,
  StepResult,
  TimerName,
} from '../../../src/election/machine/types.ts';
import type { LeaseRecord, StoredLease, StoreErrorKind } from '../../../src/election/store.ts';

export const settings: MachineSettings = {
  identity: 'node-a',
  leaseDurationMs: 5000,
  renewDeadlineMs: 3000,
  retryPeriodMs: 1000,
};

/** 2026-01-01T00:00:00Z is wall time 0 of a bench. */
const wallStart = Date.UTC(2026, 0, 1);

export function record(holderIdentity: string, over: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    holderIdentity,
    leaseDurationSeconds: 5,
    acquireTime: '2025-12-31T23:00:00.000001Z',
    renewTime: '2025-12-31T23:59:59.999999Z',
    leaseTransitions: 3,
    ...over,
  };
}

export function stored(holder: string, version: string, over: Partial<LeaseRecord> = {}): StoredLease {
  return { record: record(holder, over), version, annotations: {} };
}

/** Drives one machine by hand: time moves only when told to, every effect is kept. */
export class Bench {
  state: State = initialState;
  now = 0;
  random = 0;
  last: StepResult | undefined;

  send(event: Event): readonly Effect[] {
    const context = { now: this.now, wall: wallStart + this.now, random: this.random };
    const before = JSON.stringify(this.state);
    this.last = step(settings, this.state, event, context);
    assert.equal(JSON.stringify(this.state), before, 'a step must not change the state it was given');
    this.state = this.last.state;
    return this.last.effects;
  }

  /** Lets a timer that is armed go off. */
  fire(name: TimerName): readonly Effect[] {
    const generation = this.state.timers[name];
    assert.ok(
      generation !== undefined,
      `timer ${name} is not armed; armed: ${Object.keys(this.state.timers).join(', ')}`,
    );
    return this.send({ kind: 'timer', name, generation });
  }

  answer(outcome: CallOutcome): readonly Effect[] {
    assert.ok(this.state.call !== undefined, 'no call is in flight');
    return this.send({ kind: 'result', call: this.state.call.id, outcome });
  }

  ok(lease: StoredLease): readonly Effect[] {
    return this.answer({ ok: true, lease });
  }

  fails(error: StoreErrorKind): readonly Effect[] {
    return this.answer({ ok: false, error });
  }

  sees(lease: StoredLease | undefined, version?: string): readonly Effect[] {
    return this.send({
      kind: 'watched',
      change: lease === undefined ? { kind: 'absent', version } : { kind: 'present', lease },
    });
  }

  get at(): State['phase']['at'] {
    return this.state.phase.at;
  }

  /** Started, has read an unheld record (version 1), claimed it (version 2) and holds since time 0. */
  static holder(): Bench {
    const bench = new Bench();
    bench.send({ kind: 'start' });
    bench.ok(stored('', '1'));
    bench.fire('take');
    bench.ok(stored('node-a', '2'));
    assert.equal(bench.at, 'holding');
    return bench;
  }

  /** Started, has read a record (version 1) held by node-b at time 0. */
  static follower(): Bench {
    const bench = new Bench();
    bench.send({ kind: 'start' });
    bench.ok(stored('node-b', '1'));
    assert.equal(bench.at, 'following');
    return bench;
  }
}

/** What a list of effects does, in order, without numbers: `lost:taken`, `update`, `arm:poll` … */
export function names(effects: readonly Effect[]): string[] {
  return effects.map((effect) => {
    switch (effect.do) {
      case 'arm':
      case 'disarm':
        return `${effect.do}:${effect.name}`;
      case 'lost':
        return `lost:${effect.reason}`;
      case 'observed':
        return `observed:${effect.holder}`;
      default:
        return effect.do;
    }
  });
}

export function find<K extends Effect['do']>(
  effects: readonly Effect[],
  kind: K,
): Extract<Effect, { do: K }> {
  const found = effects.find((effect): effect is Extract<Effect, { do: K }> => effect.do === kind);
  assert.ok(found !== undefined, `no ${kind} among ${names(effects).join(', ')}`);
  return found;
}

/** Milliseconds for which a timer was armed. */
export function armed(effects: readonly Effect[], name: TimerName): number {
  const found = effects.findLast((effect) => effect.do === 'arm' && effect.name === name);
  assert.ok(found?.do === 'arm', `timer ${name} was not armed: ${names(effects).join(', ')}`);
  return found.ms;
}
