import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandOver } from '../../../src/node/hand-over.ts';
import { keyed } from '../../../src/node/spec-book.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { both } from './scene.ts';

/** Whoever is told takes so many milliseconds for each spec. */
function slow(msEach: number) {
  const clock = new FakeClock();
  const told: number[] = [];
  const handOver = new HandOver({
    clock,
    isWanted: () => true,
    tell: (changed) => {
      told.push(changed.length);
      clock.pause(msEach * changed.length);
    },
  });
  const take = (vips: number, from = 0): void => {
    const names = Array.from({ length: vips }, (_, i) => `10.9.${(from + i) >> 8}.${(from + i) & 255}`);
    handOver.take(names.flatMap((vip) => both(vip)).map(keyed));
  };
  return { clock, told, take };
}

test('what one owner publishes is handed over together, however slow the last one was', () => {
  const { told, take } = slow(100);
  take(2);
  take(3, 10);
  assert.deepEqual(told, [4, 6]);
});

test('of very much that takes long the rest follows in turns', async () => {
  const { clock, told, take } = slow(1);
  take(100);
  assert.deepEqual(told, [32]);
  await clock.advance(1000);
  assert.equal(
    told.reduce((sum, each) => sum + each, 0),
    200,
  );
  assert.ok(Math.max(...told) <= 32, told.join());
});
