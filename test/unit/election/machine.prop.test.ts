import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { initialState, step } from '../../../src/election/machine/machine.ts';
import type { Effect, Event, State } from '../../../src/election/machine/types.ts';
import { settings, stored } from './bench.ts';
import { runs } from '../../../src/testing/runs.ts';

const lease = fc
  .tuple(fc.constantFrom('', 'node-a', 'node-b'), fc.integer({ min: 1, max: 30 }), fc.nat(3))
  .map(([holder, version, renewal]) => stored(holder, String(version), { renewTime: `t${renewal}` }));

const outcome = fc.oneof(
  lease.map((found) => ({ ok: true as const, lease: found })),
  fc
    .constantFrom(
      'not-found',
      'conflict',
      'already-exists',
      'forbidden',
      'server',
      'timeout',
      'garbage' as const,
    )
    .map((error) => ({ ok: false as const, error })),
);

/** An event by its intent: which call or timer it belongs to is decided when it happens. */
const move = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answer' as const), outcome }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('fire' as const), which: fc.nat(6) }) },
  {
    weight: 3,
    arbitrary: lease.map(
      (found) => ({ kind: 'watched', change: { kind: 'present', lease: found } }) as const,
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .option(fc.integer({ min: 1, max: 30 }).map(String), { nil: undefined })
      .map((version) => ({ kind: 'watched', change: { kind: 'absent', version } }) as const),
  },
  { weight: 1, arbitrary: fc.constantFrom<Event>({ kind: 'start' }, { kind: 'recheck' }, { kind: 'stop' }) },
  { weight: 1, arbitrary: fc.nat(5000).map((pauseMs) => ({ kind: 'resign', pauseMs }) as const) },
);

const moves = fc.array(
  fc.record({
    after: fc.oneof(fc.nat(20), fc.nat(4000)),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    move,
  }),
  { minLength: 5, maxLength: 60 },
);

type Move = typeof move extends fc.Arbitrary<infer T> ? T : never;

function eventOf(state: State, what: Move): Event {
  if (what.kind === 'answer') return { kind: 'result', call: state.call?.id ?? -1, outcome: what.outcome };
  if (what.kind !== 'fire') return what;
  const timers = Object.entries(state.timers);
  const [name, generation] = timers[what.which % Math.max(1, timers.length)] ?? ['poll', -1];
  return { kind: 'timer', name: name as Extract<Event, { kind: 'timer' }>['name'], generation };
}

/** Everything a driver could have done with these effects, and whether that made sense. */
class Ledger {
  holds = false;
  validUntil = 0;
  finished = 0;
  readonly calls = new Set<number>();

  book(effect: Effect): void {
    switch (effect.do) {
      case 'acquired':
        assert.equal(this.holds, false, 'acquired twice');
        this.holds = true;
        this.validUntil = effect.validUntil;
        return;
      case 'renewed':
      case 'shortened':
        assert.equal(this.holds, true, `${effect.do} without a tenure`);
        this.validUntil = effect.validUntil;
        return;
      case 'lost':
        assert.equal(this.holds, true, 'lost without a tenure');
        this.holds = false;
        return;
      case 'update':
        if (effect.record.holderIdentity === '') assert.equal(this.holds, false, 'released while holding');
        this.calls.add(effect.call);
        return;
      case 'read':
      case 'create':
        this.calls.add(effect.call);
        return;
      case 'cancel-call':
        this.calls.delete(effect.call);
        return;
      case 'finished':
        this.finished++;
        return;
      case 'arm':
        assert.ok(effect.ms >= 0 && Number.isFinite(effect.ms), `${effect.name} in ${effect.ms} ms`);
        return;
      case 'disarm':
      case 'observed':
        return;
    }
  }
}

test('whatever happens in whatever order, the invariants of the machine hold', () => {
  const visited = new Map<string, number>();
  fc.assert(
    fc.property(moves, (list) => {
      const ledger = new Ledger();
      let now = 0;
      let state = step(settings, initialState, { kind: 'start' }, { now, wall: 0, random: 0 }).state;
      if (state.call !== undefined) ledger.calls.add(state.call.id);
      for (const { after, random, move: what } of list) {
        now += after;
        const event = eventOf(state, what);
        if (event.kind === 'result') ledger.calls.delete(event.call);
        const result = step(settings, state, event, { now, wall: now, random });
        for (const effect of result.effects) ledger.book(effect);
        state = result.state;

        visited.set(state.phase.at, (visited.get(state.phase.at) ?? 0) + 1);
        assert.equal(ledger.holds, state.phase.at === 'holding', state.phase.at);
        if (state.phase.at === 'holding') {
          assert.equal(ledger.validUntil, state.phase.validUntil);
          assert.ok(now < state.phase.validUntil, 'a tenure outlived its deadline');
          assert.equal(state.phase.lease.record.holderIdentity, 'node-a');
          assert.ok(state.timers.deadline !== undefined, 'a tenure without a deadline');
        }
        assert.ok(ledger.calls.size <= 1, 'two calls in flight');
        assert.equal([...ledger.calls][0], state.call?.id);
        if (state.phase.at === 'stopped') {
          assert.equal(ledger.finished, 1);
          assert.equal(state.call, undefined);
          assert.deepEqual(state.timers, {});
        } else {
          // Something will happen again by itself, or the election would be stuck.
          assert.ok(Object.keys(state.timers).length > 0, `${state.phase.at} waits for nothing`);
        }
      }
    }),
    { numRuns: runs(2000) },
  );
  for (const at of ['following', 'acquiring', 'holding', 'releasing', 'paused', 'stopped']) {
    assert.ok((visited.get(at) ?? 0) > 100, `${at} was hardly visited`);
  }
});
