import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElection, createElectionRecorder, replay } from '../../../src/election/index.ts';
import type { ElectionRecorder, Recording } from '../../../src/election/index.ts';
import { step } from '../../../src/election/machine/machine.ts';
import type { Step } from '../../../src/election/machine/machine.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { recordOf } from '../../../src/testing/contract/election-subject.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { MemoryLease, memoryLeaseStore } from '../../../src/testing/memory-lease.ts';
import { settings } from './bench.ts';

/** A life with a theft, a deletion and a stop in it. */
async function recorded(recorder: ElectionRecorder): Promise<{ recording: Recording; holder: boolean }> {
  const lease = new MemoryLease();
  const clock = new FakeClock();
  const parts = { store: memoryLeaseStore(lease), clock, random: Math.random, log: silentLogger };
  const election = createElection({ ...parts, observer: recorder }, settings);
  const abort = new AbortController();
  const ended = election.run({ acquired: () => undefined, lost: () => undefined }, abort.signal);
  await clock.advance(2500);
  lease.put(recordOf('thief', { leaseDurationSeconds: 2 }));
  await clock.advance(4000);
  lease.delete();
  await clock.advance(1000);
  const holder = election.status().isHolder;
  abort.abort();
  await clock.advance(0);
  await ended;
  const recording = recorder.recording();
  assert.ok(recording !== undefined);
  return { recording, holder };
}

test('a recording that went through JSON is lived through again, step by step', async () => {
  const { recording, holder } = await recorded(createElectionRecorder());
  assert.equal(holder, true);
  const again = replay(settings, JSON.parse(JSON.stringify(recording)) as Recording);
  assert.equal(again.divergedAt, undefined);
  assert.equal(again.end.phase.at, 'stopped');
  for (const reason of ['taken', 'recreating', 'released'] as const) {
    assert.ok(again.reasons.includes(reason), again.reasons.join(' '));
  }
});

test('only the last steps are kept, and they can be replayed too', async () => {
  const { recording } = await recorded(createElectionRecorder(6));
  assert.equal(recording.steps.length, 6);
  assert.equal(replay(settings, recording).divergedAt, undefined);
});

test('a machine that would have done something else is noticed, and where', async () => {
  const { recording } = await recorded(createElectionRecorder());
  const deaf: Step = (known, state, event, context) =>
    event.kind === 'watched'
      ? { state, effects: [], reason: 'same-record', ignored: true }
      : step(known, state, event, context);
  const { divergedAt } = replay(settings, recording, deaf);
  assert.ok(divergedAt !== undefined);
  assert.equal(recording.steps[divergedAt]?.event.kind, 'watched');
});

test('nothing is recorded before the first step', () => {
  assert.equal(createElectionRecorder().recording(), undefined);
});
