import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeeds } from './runs.ts';
import { faults } from './world/faults.ts';

const all = Object.keys(faults);
const hands = ['lease stolen by a stranger', 'holder overwritten by hand', 'holder cleared by hand'];
const deletion = 'lease deleted';

test('thousands of runs under every fault: never two holders outside the stated exceptions, never stuck, never busy', async (t) => {
  const report = await runSeeds({ firstSeed: 1, runs: 2000 });
  t.diagnostic(`${report.hours.toFixed(0)} simulated hours, ${report.tenures} tenures`);
  assert.ok(report.tenures > 2000, 'the lease must have moved for this to mean anything');
});

test('while nobody but candidates touches the lease there are never two holders, not for a moment', async () => {
  const only = all.filter((name) => name !== deletion && !hands.includes(name));
  const report = await runSeeds({ firstSeed: 10_001, runs: 500, only });
  assert.equal(report.twoHoldersMs, 0);
});

test('a deleted lease does not even move while its holder can see that', async () => {
  const report = await runSeeds({
    firstSeed: 20_001,
    runs: 200,
    only: [deletion],
    watch: true,
    calmMs: 5000,
  });
  assert.equal(report.twoHoldersMs, 0);
  assert.equal(report.tenures, 200);
});

test('a deleted lease never makes two holders as long as candidates keep their memory, whatever else fails', async () => {
  const restarts = ['crash', 'crash and immediate restart', 'stop'];
  const only = all.filter((name) => !restarts.includes(name) && !hands.includes(name));
  const report = await runSeeds({ firstSeed: 30_001, runs: 300, only, watch: true });
  assert.equal(report.twoHoldersMs, 0);
});

test('a lease overwritten by hand has two holders for less than 100 ms when they can see it', async () => {
  const report = await runSeeds({ firstSeed: 40_001, runs: 200, only: hands, watch: true });
  assert.ok(report.longestTwoHoldersMs < 100, `${report.longestTwoHoldersMs} ms`);
  assert.ok(report.tenures > 1000);
});
