import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { giveMemoryBack, giveOwnMemoryBack } from '../../../src/manager/memory.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const mb = 1 << 20;

/** A heap whose garbage is gone after a collection. */
function rig(collects = true) {
  const clock = new FakeClock();
  const state = {
    live: 12 * mb,
    garbage: 0,
    busy: 0,
    after: undefined as number | undefined,
    done: [] as string[],
  };
  const end = giveMemoryBack({
    clock,
    heapTotal: () => state.live + state.garbage,
    afterCollection: () => state.after,
    busy: () => state.busy,
    collect: collects
      ? () => {
          state.garbage = 0;
          state.after = state.live;
          state.done.push('collect');
        }
      : undefined,
    trim: () => state.done.push('trim'),
  });
  const turn = async (): Promise<readonly string[]> => {
    state.done = [];
    await clock.advance(20_000);
    return state.done;
  };
  return { clock, state, end, turn };
}

test('what a burst has left is collected once, and what was outside of the heap given back after that', async () => {
  const { state, turn, clock, end } = rig();
  await clock.advance(21_000); // the start, too, was one
  assert.deepEqual(state.done, ['collect', 'trim']);
  state.garbage = 10 * mb;
  assert.deepEqual(await turn(), ['trim'], 'not again so soon');
  await clock.advance(80_000);
  assert.deepEqual(await turn(), ['collect', 'trim']);
  state.garbage = 5 * mb;
  await clock.advance(120_000);
  assert.deepEqual(await turn(), ['trim'], 'not worth it');
  end();
  assert.deepEqual(clock.timers(), []);
});

test('what V8 has collected by itself is not collected again', async () => {
  const { state, turn } = rig();
  state.after = 6 * mb;
  assert.deepEqual(await turn(), ['trim']);
  state.garbage = 10 * mb;
  await turn();
  assert.equal(state.done[0], 'collect', 'what has come since');
});

test('nothing is collected in the middle of work, in a heap that would take long, or without the flag', async () => {
  const working = rig();
  working.state.busy = 0.5;
  assert.deepEqual(await working.turn(), ['trim']);
  const large = rig();
  large.state.live = 80 * mb;
  assert.deepEqual(await large.turn(), ['trim']);
  assert.deepEqual(await rig(false).turn(), ['trim']);
});

test('what was freed in the middle of the C heap goes back to the kernel', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const residentMb = (): number => process.memoryUsage.rss() / mb;
  const clock = new FakeClock();
  const end = giveOwnMemoryBack(clock);
  // Pieces too small for a mapping of their own, and one in a hundred of them stays.
  let all: Uint8Array[] | undefined = Array.from({ length: 1600 }, () => new Uint8Array(64 << 10).fill(1));
  const some = all.filter((_, index) => index % 100 === 99);
  all = undefined;
  collect();
  collect(); // ends the sweep of the first, which frees the pieces
  const before = residentMb();
  await clock.advance(20_000);
  assert.ok(
    residentMb() < before - 40,
    `${before.toFixed(0)} MB before, ${residentMb().toFixed(0)} MB after`,
  );
  assert.equal(some.length, 16);
  end();
});
