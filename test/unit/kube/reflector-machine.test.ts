import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { initialReflectorState, reflectorStep } from '../../../src/kube/reflector-machine.ts';
import type { ReflectorOutcome, ReflectorState } from '../../../src/kube/reflector-machine.ts';

const watching: ReflectorState = { next: 'watch', resourceVersion: '5', failures: 0, isFresh: false };
/** Just listed. */
const fresh: ReflectorState = { ...watching, isFresh: true };
const life = { resourceVersion: '9', heard: 3, livedMs: 60_000 };
const curt = { resourceVersion: '9', heard: 1, livedMs: 3 };
const stillborn = { resourceVersion: '5', heard: 0, livedMs: 3 };
/** The longest wait of every range. */
const longest = (): number => 1;

describe('what a reflector does next', () => {
  const rows: readonly (readonly [string, ReflectorState, ReflectorOutcome, object])[] = [
    [
      'a list is followed by a watch from its version',
      initialReflectorState,
      { type: 'listed', resourceVersion: '5' },
      { state: fresh, waitMs: 0, reason: 'listed' },
    ],
    [
      'a watch that ended in order continues where it was',
      { ...watching, failures: 4 },
      { type: 'watch-ended', ...life },
      { state: { ...watching, resourceVersion: '9' }, waitMs: 0, reason: 'watch-ended' },
    ],
    [
      'a watch that ends as soon as it began is a failure, or it would spin',
      watching,
      { type: 'watch-ended', ...stillborn },
      { state: { ...watching, failures: 1 }, waitMs: 100, reason: 'watch-too-short' },
    ],
    [
      'a broken watch continues where it was, after a moment',
      watching,
      { type: 'watch-failed', kind: 'unreachable', retryAfterMs: undefined, ...life },
      { state: { ...watching, resourceVersion: '9', failures: 1 }, waitMs: 100, reason: 'watch-failed' },
    ],
    [
      'a version that is gone is listed anew at once',
      watching,
      { type: 'watch-failed', kind: 'gone', retryAfterMs: undefined, ...stillborn },
      { state: { ...initialReflectorState, failures: 1 }, waitMs: 0, reason: 'version-gone' },
    ],
    [
      'so is one that went while something else failed for long: the rights were away, or the server',
      { ...watching, failures: 9 },
      { type: 'watch-failed', kind: 'gone', retryAfterMs: undefined, ...stillborn },
      { state: { ...initialReflectorState, failures: 9 }, waitMs: 0, reason: 'version-gone' },
    ],
    [
      'a version that is gone again right after a list is not',
      { ...fresh, failures: 1 },
      { type: 'watch-failed', kind: 'gone', retryAfterMs: undefined, ...stillborn },
      { state: { ...initialReflectorState, failures: 2 }, waitMs: 200, reason: 'version-gone' },
    ],
    [
      'bytes that cannot be trusted cost a new list',
      watching,
      { type: 'watch-failed', kind: 'garbage', retryAfterMs: undefined, ...life },
      { state: { ...initialReflectorState, failures: 1 }, waitMs: 100, reason: 'watch-failed' },
    ],
    [
      'a watch that ends after its first words is followed by another after a moment',
      { ...watching, failures: 4 },
      { type: 'watch-ended', ...curt },
      { state: { ...watching, resourceVersion: '9', failures: 1 }, waitMs: 100, reason: 'watch-too-short' },
    ],
    [
      'one that is gone after its first words, again and again, costs fewer and fewer lists',
      { ...fresh, failures: 4 },
      { type: 'watch-failed', kind: 'gone', retryAfterMs: undefined, ...curt },
      { state: { ...initialReflectorState, failures: 5 }, waitMs: 1600, reason: 'version-gone' },
    ],
    [
      'so does one that sends garbage after its first words',
      { ...watching, failures: 4 },
      { type: 'watch-failed', kind: 'garbage', retryAfterMs: undefined, ...curt },
      { state: { ...initialReflectorState, failures: 5 }, waitMs: 1600, reason: 'watch-failed' },
    ],
    [
      'a list that failed is tried again',
      { ...initialReflectorState, failures: 2 },
      { type: 'list-failed', kind: 'forbidden', retryAfterMs: undefined },
      { state: { ...initialReflectorState, failures: 3 }, waitMs: 400, reason: 'list-failed' },
    ],
    [
      'the server’s wish when to come back is respected',
      initialReflectorState,
      { type: 'list-failed', kind: 'throttled', retryAfterMs: 7000 },
      { state: { ...initialReflectorState, failures: 1 }, waitMs: 7000, reason: 'list-failed' },
    ],
    [
      'within reason',
      initialReflectorState,
      { type: 'list-failed', kind: 'throttled', retryAfterMs: 86_400_000 },
      { state: { ...initialReflectorState, failures: 1 }, waitMs: 10_000, reason: 'list-failed' },
    ],
  ];
  for (const [what, state, outcome, expected] of rows) {
    it(what, () => {
      assert.deepEqual(reflectorStep(state, outcome, longest), expected);
    });
  }

  it('an unreachable server is tried at least every 2 s, one that refuses us every 4 s, one that has errors at most every 5 s', () => {
    const tired: ReflectorState = { ...initialReflectorState, failures: 20 };
    const waits = (kind: 'unreachable' | 'server' | 'forbidden') =>
      [() => 0, longest].map(
        (random) =>
          reflectorStep(tired, { type: 'list-failed', kind, retryAfterMs: undefined }, random).waitMs,
      );
    assert.deepEqual(waits('unreachable'), [1000, 2000]);
    assert.deepEqual(waits('server'), [5000, 10_000]);
    assert.deepEqual(waits('forbidden'), [2000, 4000]);
  });

  it('never spins: whatever happens, failures without progress always wait longer than nothing', () => {
    const kinds = ['gone', 'garbage', 'unreachable', 'server', 'forbidden', 'throttled', 'timeout'] as const;
    const outcome: fc.Arbitrary<ReflectorOutcome> = fc.oneof(
      fc.record({
        type: fc.constant('watch-failed' as const),
        kind: fc.constantFrom(...kinds),
        retryAfterMs: fc.constant(undefined),
        resourceVersion: fc.constant('5'),
        heard: fc.constant(0),
        livedMs: fc.nat(999),
      }),
      fc.record({
        type: fc.constant('watch-ended' as const),
        resourceVersion: fc.constant('5'),
        heard: fc.constant(0),
        livedMs: fc.nat(999),
      }),
      fc.constant({ type: 'listed' as const, resourceVersion: '5' }),
      fc.record({
        type: fc.constant('list-failed' as const),
        kind: fc.constantFrom(...kinds),
        retryAfterMs: fc.constant(undefined),
      }),
    );
    fc.assert(
      fc.property(
        fc.array(outcome, { minLength: 12, maxLength: 40 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (outcomes, r) => {
          let state = initialReflectorState;
          let waited = 0;
          let failures = 0;
          for (const each of outcomes) {
            if (each.type.startsWith('watch') !== (state.next === 'watch')) continue;
            const next = reflectorStep(state, each, () => r);
            state = next.state;
            waited += next.waitMs;
            if (each.type !== 'listed') failures++;
          }
          assert.ok(failures < 2 || waited >= 50 * (failures - 1));
        },
      ),
    );
  });
});
