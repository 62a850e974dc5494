import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Timer } from '../../../src/lib/clock.ts';
import { systemClock } from '../../../src/linux/clock.ts';
import { NextTurns } from '../../../src/linux/next-turns.ts';

test('now counts milliseconds since boot, suspension included', () => {
  const clock = systemClock();
  const before = clock.now();
  // /proc/uptime is CLOCK_BOOTTIME in hundredths of seconds.
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  const after = clock.now();
  assert.ok(before - 10 <= uptime && uptime <= after, `${before} ${uptime} ${after}`);
  assert.ok(after > before);
  assert.ok(Math.abs(clock.wall() - Date.now()) < 1000);
});

test('timers fire once, never early, and are listed until then in order of time', async () => {
  const clock = systemClock();
  const start = clock.now();
  let firedAt = 0;
  const far = clock.after('far', 2 ** 31 + 1000, () => assert.fail('fired at once'));
  await new Promise<void>((resolve) => {
    const near = clock.after('near', 3.5, () => {
      firedAt = clock.now();
      resolve();
    });
    assert.deepEqual(
      clock.timers().map(({ name }) => name),
      ['near', 'far'],
    );
    assert.ok(near.at >= start + 3.5);
  });
  assert.ok(firedAt >= start + 3.5, `${firedAt - start} ms`);
  assert.deepEqual(
    clock.timers().map(({ name }) => name),
    ['far'],
  );
  far.cancel();
  far.cancel();
  assert.deepEqual(clock.timers(), []);
});

test('no delay means the next turn of the event loop: after this one, listed and cancellable until then', async () => {
  const clock = systemClock();
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    const cancelled = clock.after('cancelled', 0, () => assert.fail('cancelled, and fired'));
    clock.after('now', 0, () => {
      order.push('next turn');
      assert.deepEqual(clock.timers(), []);
      setImmediate(resolve);
    });
    cancelled.cancel();
    assert.deepEqual(
      clock.timers().map(({ name }) => name),
      ['now'],
    );
    setImmediate(() => order.push('others of that turn'));
    order.push('this turn');
  });
  assert.deepEqual(order, ['this turn', 'next turn', 'others of that turn']);
});

test('what waits for the next turn shares 5 ms of it, first come first served; what is left has later ones', async () => {
  let now = 0;
  const turns = new NextTurns(() => now);
  const order: string[] = [];
  let turn = 0;
  const counted = (): void => {
    turn++;
    if (order.length < 7) setImmediate(counted);
  };
  const work = (name: string, ms: number, then?: () => void): Timer =>
    turns.add(name, () => {
      order.push(`${name} in ${turn}`);
      now += ms;
      then?.();
    });
  await new Promise<void>((resolve) => {
    setImmediate(counted);
    work('a', 2);
    work('cancelled', 0).cancel();
    work('b', 6, () => work('b again', 0));
    work('c', 6);
    work('d', 0);
    assert.deepEqual(
      turns.timers().map(({ name }) => name),
      ['a', 'b', 'c', 'd'],
    );
    work('e', 5);
    work('f', 0, () => setImmediate(resolve));
  });
  assert.deepEqual(order, ['a in 1', 'b in 1', 'c in 2', 'd in 3', 'e in 3', 'f in 4', 'b again in 4']);
  assert.deepEqual(turns.timers(), []);
});

test('a sleep ends at once when its signal aborts, and leaves no timer', async () => {
  const clock = systemClock();
  const abort = new AbortController();
  const sleeping = clock.sleep('long', 60_000, abort.signal);
  abort.abort();
  await sleeping;
  await clock.sleep('aborted before', 60_000, abort.signal);
  assert.deepEqual(clock.timers(), []);
});
