import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  burstOffsetsMs,
  startAnnouncing,
  stepAnnouncement,
  type AnnounceOptions,
} from '../../../src/protocols/index.ts';

const options: AnnounceOptions = { periodMs: 3000, phase: 0 };

/** Sends whenever something is due, `lateBy` after its time, until `until`. */
function run(until: number, chosen = options, lateBy = 0): string[] {
  const sent: string[] = [];
  let state = startAnnouncing(1000);
  for (let now = 1000; now <= until; now = state.nextAt + lateBy) {
    const step = stepAnnouncement(state, now, chosen);
    state = step.state;
    sent.push(`${now - 1000} ${step.forms.join('+')}`);
  }
  return sent;
}

test('a burst in both forms, then one form each period, in turn', () => {
  assert.deepEqual(run(1000 + 14_000), [
    '0 reply+request',
    '50 reply+request',
    '200 reply+request',
    '500 reply+request',
    '1000 reply+request',
    '2000 reply+request',
    '5000 reply',
    '8000 request',
    '11000 reply',
    '14000 request',
  ]);
});

test('too early sends nothing and changes nothing', () => {
  const { state } = stepAnnouncement(startAnnouncing(0), 0, options);
  assert.deepEqual(stepAnnouncement(state, 49.9, options), { state, forms: [] });
});

test('a phase shortens the first refresh only', () => {
  assert.deepEqual(run(1000 + 9000, { ...options, phase: 0.5 }).slice(6), ['4250 reply', '7250 request']);
});

test('timers that fire late do not change the rate', () => {
  assert.deepEqual(run(1000 + 12_000, options, 3).slice(5), [
    '2003 reply+request',
    '5006 reply',
    '8006 request',
    '11006 reply',
  ]);
});

test('after a pause what was missed is made up for once', () => {
  const first = stepAnnouncement(startAnnouncing(0), 0, options);
  const woken = stepAnnouncement(first.state, 700, options);
  assert.deepEqual(woken.forms, ['reply', 'request']);
  assert.equal(woken.state.nextAt, 1000);
  const later = stepAnnouncement(woken.state, 60_000, options);
  assert.equal(later.forms.length, 2);
  assert.equal(later.state.nextAt, 63_000);
  const again = stepAnnouncement(later.state, 100_000, options);
  assert.deepEqual(again.forms, ['reply']);
  assert.equal(again.state.nextAt, 103_000);
});

test('at any lateness: never a silence longer than a period and the lateness, never two sends at once', () => {
  const inputs = [
    fc.integer({ min: 500, max: 10_000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 30, maxLength: 30 }),
  ] as const;
  fc.assert(
    fc.property(...inputs, (periodMs, phase, delays) => {
      let state = startAnnouncing(0);
      let last = 0;
      for (const [i, delay] of delays.entries()) {
        const now = state.nextAt + (i === 0 ? 0 : delay);
        if (i > 0) assert.ok(now - last <= Math.max(periodMs, 1000) + delay + 1e-6, 'silence');
        const step = stepAnnouncement(state, now, { periodMs, phase });
        assert.ok(step.forms.length > 0, 'something is sent when it is due');
        assert.ok(step.state.nextAt > now, 'the next one is in the future');
        state = step.state;
        last = now;
      }
      assert.equal(state.burstsDone, burstOffsetsMs.length);
    }),
  );
});
