import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Election, ElectionListener } from '../../../src/election/index.ts';
import { Urgency, urgently } from '../../../src/manager/urgency.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { recordingLogger } from '../../../src/testing/logger.ts';

/** `done` says when this thread went first, and when no longer. */
function rig({ isAllowed = true } = {}) {
  const clock = new FakeClock();
  const done: string[] = [];
  const runFirst = () => {
    done.push(isAllowed ? 'first' : 'refused');
    return isAllowed ? () => void done.push('ordinary') : undefined;
  };
  const log = recordingLogger();
  const urgency = new Urgency({ clock, log, runFirst });
  const waits = { vips: false, services: false };
  urgency.lastsWhile(() => waits.vips);
  urgency.lastsWhile(() => waits.services);
  return { clock, done, log, urgency, waits };
}

test('this process goes first from when a lease comes or goes until nothing waits any more, and not all the time', async () => {
  const { clock, done, log, urgency, waits } = rig();
  waits.services = true;
  urgency.begin();
  urgency.begin();
  assert.deepEqual(done, ['first']);
  await clock.advance(100);
  waits.services = false;
  await clock.advance(10);
  waits.vips = true;
  await clock.advance(100);
  assert.deepEqual(done, ['first'], 'one part was through before the next had begun');
  waits.vips = false;
  await clock.advance(10);
  assert.deepEqual(done, ['first']);
  await clock.advance(10);
  assert.deepEqual(done, ['first', 'ordinary']);
  assert.deepEqual(log.fields, [{ ms: 230 }]);
  urgency.begin();
  await clock.advance(7999);
  assert.deepEqual(done, ['first', 'ordinary'], 'others have eight seconds');
  await clock.advance(1);
  urgency.begin();
  assert.deepEqual(done, ['first', 'ordinary', 'first']);
  urgency.close();
  urgency.begin();
  assert.deepEqual(done, ['first', 'ordinary', 'first', 'ordinary']);
  assert.deepEqual(clock.timers(), []);
});

test('whatever waits, others have the processor after a second', async () => {
  const { clock, done, urgency, waits } = rig();
  waits.vips = true;
  urgency.begin();
  await clock.advance(999);
  assert.deepEqual(done, ['first']);
  await clock.advance(1);
  assert.deepEqual(done, ['first', 'ordinary']);
});

test('where it may not, it asks once and says what it lacks', () => {
  const { clock, done, log, urgency } = rig({ isAllowed: false });
  urgency.begin();
  urgency.begin();
  urgency.close();
  assert.deepEqual(done, ['refused']);
  assert.match(log.lines.join(), /^debug .* wait for processors/);
  assert.match(String(log.fields[0]?.['why']), /SYS_NICE/);
  assert.deepEqual(clock.timers(), []);
});

test('the beginning and the end of a tenure are urgent before anybody is told; all else passes through', async () => {
  for (const change of ['acquired', 'lost'] as const) {
    const { done, urgency } = rig();
    let inner: ElectionListener | undefined;
    const calls: string[] = [];
    const status = { lease: 'a/b' } as ReturnType<Election['status']>;
    const election: Election = {
      run: async (listener) => {
        inner = listener;
      },
      recheck: (why) => void calls.push(why),
      resign: (why, pauseMs) => void calls.push(`${why} ${pauseMs}`),
      status: () => status,
    };
    const decorated = urgently(election, urgency);
    const under = Promise.resolve();
    await decorated.run(
      {
        acquired: () => void done.push('acquired'),
        lost: (reason) => void done.push(reason),
        withdrawn: () => under,
        observed: (holder) => void done.push(holder),
      },
      new AbortController().signal,
    );
    inner?.observed?.('n1');
    if (change === 'acquired') inner?.acquired({ holds: () => true });
    else inner?.lost('taken');
    assert.deepEqual(done, ['n1', 'first', change === 'acquired' ? 'acquired' : 'taken']);
    assert.equal(inner?.withdrawn?.(), under);
    decorated.recheck('look');
    decorated.resign('ill', 5);
    assert.deepEqual(calls, ['look', 'ill 5']);
    assert.equal(decorated.status(), status);
    urgency.close();
  }
});
