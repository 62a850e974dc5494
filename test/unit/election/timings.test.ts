import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTimings, createElection } from '../../../src/election/index.ts';
import { attemptTimeoutMs, tenureMs } from '../../../src/election/timings.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { MemoryLease, memoryLeaseStore } from '../../../src/testing/memory-lease.ts';

function timings(lease: number, renew: number, retry: number) {
  return { leaseDurationMs: lease * 1000, renewDeadlineMs: renew * 1000, retryPeriodMs: retry * 1000 };
}

test('the defaults, the documented choice and close calls are accepted', () => {
  for (const [lease, renew, retry] of [
    [15, 10, 2],
    [5, 3, 1],
    [3, 2, 1],
    [60, 15, 5],
  ] as const) {
    assert.equal(checkTimings(timings(lease, renew, retry)), undefined);
  }
});

test('timings that cannot work are refused in words that name the settings', () => {
  const refused: readonly [number, number, number, RegExp][] = [
    [1, 1, 1, /vip_leaseduration \(1 s\) must be greater than vip_renewdeadline \(1 s\)/],
    [3, 4, 1, /vip_leaseduration \(3 s\) must be greater than vip_renewdeadline \(4 s\)/],
    [3, 2, 2, /vip_renewdeadline \(2 s\) must be greater than vip_retryperiod × 1.2 \(2.4 s\)/],
    [3, 2.5, 1, /by more than 0.5 s/],
    [0, 0, 0, /vip_leaseduration is 0 s; it must be at least 1 s/],
    [15, 10, 0.5, /vip_retryperiod is 0.5 s/],
    [15, -10, 2, /vip_renewdeadline is -10 s/],
    [Number.NaN, 10, 2, /vip_leaseduration is NaN s/],
    [Number.POSITIVE_INFINITY, 10, 2, /vip_leaseduration is Infinity s/],
  ];
  for (const [lease, renew, retry, message] of refused) {
    assert.match(checkTimings(timings(lease, renew, retry)) ?? 'accepted', message);
  }
});

test('an election with such timings, or without identity, is not even made', () => {
  const parts = {
    store: memoryLeaseStore(new MemoryLease()),
    clock: new FakeClock(),
    random: () => 0,
    log: silentLogger,
  };
  assert.throws(() => createElection(parts, { identity: 'a', ...timings(1, 1, 1) }), /vip_leaseduration/);
  assert.throws(() => createElection(parts, { identity: '', ...timings(5, 3, 1) }), /identity/);
});

test('a tenure lasts as long as client-go tries, and never beyond four fifths of the lease', () => {
  const cases: readonly [number, number, number, number][] = [
    [15, 10, 2, 12],
    [5, 3, 1, 4],
    [3, 2, 1, 2.4],
    [60, 15, 5, 20],
    // A renew deadline beyond four fifths is what was asked for.
    [10, 9, 2, 9],
  ];
  for (const [lease, renew, retry, tenure] of cases) {
    assert.equal(tenureMs(timings(lease, renew, retry)), tenure * 1000);
  }
});

test('two tries fit between the first renewal and the end of the tenure, the first one long enough for slow answers', () => {
  for (const each of [timings(15, 10, 2), timings(5, 3, 1), timings(60, 15, 5)]) {
    const left = tenureMs(each) - each.retryPeriodMs;
    assert.ok(attemptTimeoutMs(each) < left && attemptTimeoutMs(each) >= tenureMs(each) / 2);
  }
});
