import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffMs } from '../../../src/lib/backoff.ts';

test('without luck it doubles from the base to the bound, with luck it is half of that', () => {
  const options = { baseMs: 100, maxMs: 1000 };
  const waits = (random: () => number): number[] =>
    [1, 2, 3, 4, 5, 6].map((attempt) => backoffMs(attempt, options, random));
  assert.deepEqual(waits(() => 1 - Number.EPSILON).map(Math.round), [100, 200, 400, 800, 1000, 1000]);
  assert.deepEqual(
    waits(() => 0),
    [50, 100, 200, 400, 500, 500],
  );
});

test('it is never more than the bound, never less than half the base, however many attempts', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, draw) => {
        const wait = backoffMs(attempt, { baseMs: 250, maxMs: 30_000 }, () => draw);
        assert.ok(wait >= 125 && wait <= 30_000, String(wait));
      },
    ),
  );
});
