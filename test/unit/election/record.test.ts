import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimRecord, microTime, releaseRecord } from '../../../src/election/record.ts';
import { compareVersions } from '../../../src/election/store.ts';
import { record } from './bench.ts';

test('times have six digits and a Z, as metav1.MicroTime writes them', () => {
  const rows: readonly [number, string][] = [
    [0, '1970-01-01T00:00:00.000000Z'],
    [Date.UTC(2026, 1, 3, 4, 5, 6), '2026-02-03T04:05:06.000000Z'],
    [Date.UTC(2026, 1, 3, 4, 5, 6, 7) + 0.5, '2026-02-03T04:05:06.007500Z'],
    [Date.UTC(2026, 1, 3, 4, 5, 6, 999) + 0.999, '2026-02-03T04:05:06.999999Z'],
    [-0.001, '1969-12-31T23:59:59.999999Z'],
  ];
  for (const [wall, text] of rows) assert.equal(microTime(wall), text);
});

test('a duration that is no whole number of seconds is written longer, never shorter', () => {
  const claim = { identity: 'a', leaseDurationMs: 5001, wall: 0 };
  assert.equal(claimRecord(claim, undefined).leaseDurationSeconds, 6);
});

test('an own record without acquireTime gets one', () => {
  const claim = { identity: 'node-a', leaseDurationMs: 5000, wall: 0 };
  const renewed = claimRecord(claim, record('node-a', { acquireTime: undefined }));
  assert.equal(renewed.acquireTime, '1970-01-01T00:00:00.000000Z');
});

test('a record whose transitions are counted to the end can still be taken', () => {
  const claim = { identity: 'node-a', leaseDurationMs: 5000, wall: 0 };
  const most = 2 ** 31 - 1;
  for (const transitions of [most - 1, most]) {
    assert.equal(claimRecord(claim, record('', { leaseTransitions: transitions })).leaseTransitions, most);
  }
});

test('a release keeps nothing but the transitions', () => {
  const time = '1970-01-01T00:00:00.000000Z';
  assert.deepEqual(releaseRecord(0, record('node-a', { leaseTransitions: 9 })), {
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: time,
    renewTime: time,
    leaseTransitions: 9,
  });
});

test('versions are ordered as numbers of any length, and not at all when they are no numbers', () => {
  assert.equal(compareVersions('9', '10'), -1);
  assert.equal(compareVersions('18446744073709551616', '18446744073709551615'), 1);
  assert.equal(compareVersions('7', '07'), 0);
  assert.equal(compareVersions('abc', 'abc'), 0);
  assert.equal(compareVersions('abc', '1'), undefined);
});
