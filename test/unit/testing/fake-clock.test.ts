import { test } from 'node:test';
import assert from 'node:assert/strict';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

test('timers fire in due order, ties in arming order, each at its own time', async () => {
  const clock = new FakeClock();
  const seen: string[] = [];
  const note = (name: string): void => void seen.push(`${name}@${clock.now()}`);
  clock.after('late', 20, () => note('late'));
  clock.after('first', 10, () => note('first'));
  clock.after('second', 10, () => note('second'));
  clock.after('beyond', 31, () => note('beyond'));
  await clock.advance(30);
  assert.deepEqual(seen, ['first@10', 'second@10', 'late@20']);
  assert.equal(clock.now(), 30);
  assert.deepEqual(
    clock.timers().map((t) => [t.name, t.at]),
    [['beyond', 31]],
  );
});

test('a timer armed by an awaited continuation fires inside the same advance', async () => {
  const clock = new FakeClock();
  const seen: number[] = [];
  const loop = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await clock.sleep('tick', 5);
      await Promise.resolve();
      seen.push(clock.now());
    }
  };
  const done = loop();
  await clock.advance(15);
  await done;
  assert.deepEqual(seen, [5, 10, 15]);
});

test('never synchronously, cancel before and after firing, sleep ends on abort', async () => {
  const clock = new FakeClock();
  let fired = 0;
  const now = clock.after('zero', 0, () => fired++);
  const never = clock.after('never', 1, () => fired++);
  assert.equal(fired, 0);
  never.cancel();
  await clock.advance(5);
  now.cancel();
  assert.equal(fired, 1);
  const abort = new AbortController();
  const sleeping = clock.sleep('long', 1000, abort.signal);
  abort.abort();
  await sleeping;
  await clock.sleep('aborted already', 1000, abort.signal);
  assert.equal(clock.now(), 5);
  assert.equal(clock.timers().length, 0);
});

test('a pause delays timers; the wall clock can be stepped and skewed', async () => {
  const clock = new FakeClock({ wall: 1000 });
  let at = 0;
  clock.after('t', 10, () => (at = clock.now()));
  clock.pause(50);
  assert.equal(at, 0);
  await clock.advance(0);
  assert.equal(at, 50);
  assert.equal(clock.wall(), 1050);
  clock.setWall(5000);
  clock.skewWall(2);
  await clock.advance(10);
  assert.equal(clock.wall(), 5020);
});
