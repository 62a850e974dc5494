import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimHeapRegularly } from '../../../src/linux/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Resident megabytes. */
function resident(): number {
  return process.memoryUsage.rss() / 1024 / 1024;
}

test('what was freed in the middle of the heap goes back to the kernel, again and again until the end', async () => {
  const clock = new FakeClock();
  const end = trimHeapRegularly(clock);
  for (let round = 0; round < 2; round++) {
    // Pieces too small for a mapping of their own, and one in a hundred of them stays.
    let all: Uint8Array[] | undefined = Array.from({ length: 1600 }, () => new Uint8Array(64 << 10).fill(1));
    const some = all.filter((_, index) => index % 100 === 99);
    all = undefined;
    collect();
    collect(); // ends the sweep of the first, which frees the pieces
    const before = resident();
    await clock.advance(20_000);
    assert.ok(resident() < before - 40, `${before.toFixed(0)} MB before, ${resident().toFixed(0)} MB after`);
    assert.equal(some.length, 16);
  }
  end();
  assert.deepEqual(clock.timers(), []);
});
