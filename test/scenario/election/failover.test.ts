import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Timings } from '../../../src/election/index.ts';
import { attemptTimeoutMs, tenureMs } from '../../../src/election/timings.ts';
import { faults } from '../../sim/election/world/faults.ts';
import type { SimNode } from '../../sim/election/world/sim-node.ts';
import { World } from '../../sim/election/world/world.ts';

/** Three nodes in true time, calls of 0.4 to 10 ms, watch events of 0.2 to 10 ms; each scenario with many seeds. */
const seeds = Array.from({ length: 12 }, (_, index) => index + 1);
const quick: Timings = { leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 };
const usual: Timings = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 };

interface Scene {
  readonly world: World;
  readonly holder: SimNode;
  /** Lets time pass until the condition holds; the time it took. */
  readonly until: (what: string, condition: () => boolean) => Promise<number>;
}

function holders(world: World): readonly SimNode[] {
  return world.nodes.filter((node) => node.holds);
}

async function scene(seed: number, timings: Timings, watch = true): Promise<Scene> {
  const world = new World({ seed, faultsMs: 0, episodes: 0, nodes: 3, timings, watch, rateSpread: 0.0001 });
  world.start();
  const until = async (what: string, condition: () => boolean): Promise<number> => {
    const from = world.timeline.now;
    while (!condition()) {
      assert.ok(
        world.timeline.now - from < 60_000,
        `seed ${seed}: waited for ${what}\n${world.history.join('\n')}`,
      );
      await world.advance(2);
    }
    return world.timeline.now - from;
  };
  await until('a holder', () => holders(world).length === 1);
  await world.advance(10_000 + seed * 137);
  const [holder] = holders(world);
  assert.ok(holder !== undefined);
  return { world, holder, until };
}

/** Plays a scene with every seed; fails when an invariant broke in any. The longest figure is reported. */
async function longest(play: (seed: number) => Promise<{ world: World; ms: number }>): Promise<number> {
  let worst = 0;
  for (const seed of seeds) {
    const { world, ms } = await play(seed);
    assert.deepEqual(world.violations, [], `seed ${seed}\n${world.history.join('\n')}`);
    worst = Math.max(worst, ms);
  }
  return worst;
}

describe('fail-over, with the watch as with polling alone', () => {
  test('a holder that stops: the next within a tenth of a second', async (t) => {
    const worst = await longest(async (seed) => {
      const { world, holder, until } = await scene(seed, quick);
      holder.stop();
      assert.equal(holder.vip, false);
      return { world, ms: await until('the next holder', () => holders(world).length === 1) };
    });
    t.diagnostic(`at most ${worst.toFixed(0)} ms`);
    assert.ok(worst < 100, `${worst} ms`);
  });

  test('a holder that stops, nobody watches: within retry × 2.2', async (t) => {
    const worst = await longest(async (seed) => {
      const { world, holder, until } = await scene(seed, quick, false);
      holder.stop();
      return { world, ms: await until('the next holder', () => holders(world).length === 1) };
    });
    t.diagnostic(`at most ${worst.toFixed(0)} ms`);
    assert.ok(worst < quick.retryPeriodMs * 2.2 + 150, `${worst} ms`);
  });

  for (const [name, timings] of [
    ['5/3/1', quick],
    ['15/10/2', usual],
  ] as const) {
    test(`a holder that dies, ${name}: the next within the lease duration`, async (t) => {
      const worst = await longest(async (seed) => {
        const { world, holder, until } = await scene(seed, timings);
        holder.crash();
        return { world, ms: await until('the next holder', () => holders(world).length === 1) };
      });
      t.diagnostic(`at most ${worst.toFixed(0)} ms`);
      assert.ok(worst < timings.leaseDurationMs + 100, `${worst} ms`);
    });

    test(`a holder that is cut off, ${name}: its VIP is gone before the lease can be taken`, async (t) => {
      const worst = await longest(async (seed) => {
        const { world, holder, until } = await scene(seed, timings);
        faults['node cut off']?.(world, holder, 60_000);
        const goneAfter = await until('the VIP to go', () => !holder.vip);
        assert.ok(goneAfter <= tenureMs(timings) + 40, `gone after ${goneAfter} ms`);
        const margin = await until('the next holder', () => holders(world).length === 1);
        assert.ok(margin > timings.leaseDurationMs - tenureMs(timings) - 150, `margin ${margin} ms`);
        return { world, ms: goneAfter + margin };
      });
      t.diagnostic(`at most ${worst.toFixed(0)} ms without the VIP being served`);
      assert.ok(worst < timings.leaseDurationMs + 100, `${worst} ms`);
    });

    for (const watch of [true, false]) {
      const how = watch ? '' : ' and nobody watching';
      // A write that the dead server swallowed is waited for, even if it is alive again meanwhile.
      const bound = watch
        ? timings.retryPeriodMs
        : Math.max(timings.retryPeriodMs, attemptTimeoutMs(timings));
      test(`an API server away for 20 s${how}, ${name}: a holder within ${bound / 1000} s of its return`, async (t) => {
        const worst = await longest(async (seed) => {
          const { world, holder, until } = await scene(seed, timings, watch);
          faults['API server away']?.(world, holder, 20_000);
          await world.advance(20_000);
          assert.equal(holders(world).length, 0);
          return { world, ms: await until('a holder', () => holders(world).length === 1) };
        });
        t.diagnostic(`at most ${worst.toFixed(0)} ms after its return`);
        assert.ok(worst <= bound + 100, `${worst} ms`);
      });
    }
  }

  test('a process killed and started again by its supervisor: the same holder at once', async (t) => {
    const worst = await longest(async (seed) => {
      const { world, holder, until } = await scene(seed, quick);
      const transitions = world.lease.current?.record.leaseTransitions;
      holder.crash();
      await world.advance(300);
      holder.start();
      const ms = await until('the tenure', () => holder.holds);
      assert.equal(world.lease.current?.record.leaseTransitions, transitions);
      return { world, ms };
    });
    t.diagnostic(`at most ${worst.toFixed(0)} ms after its start`);
    assert.ok(worst < 50, `${worst} ms`);
  });

  test('a deleted lease: the VIP does not move, and is not gone for a moment', async () => {
    await longest(async (seed) => {
      const { world, holder } = await scene(seed, quick);
      const { tenures } = holder;
      faults['lease deleted']?.(world, holder, 0);
      await world.advance(10_000);
      assert.deepEqual([holder.holds, holder.tenures], [true, tenures]);
      assert.equal(world.lease.current?.record.holderIdentity, holder.identity);
      return { world, ms: 0 };
    });
  });

  test('an API server that suddenly needs almost half a tenure for each call: the holder stays, and a next one is found', async (t) => {
    const worst = await longest(async (seed) => {
      const { world, holder, until } = await scene(seed, quick, false);
      const { tenures } = holder;
      for (const { path } of world.nodes) Object.assign(path, { delayMs: 950, leastDelayMs: 900 });
      await world.advance(60_000);
      assert.deepEqual([holder.holds, holder.tenures], [true, tenures]);
      holder.crash();
      return { world, ms: await until('the next holder', () => holders(world).length === 1) };
    });
    t.diagnostic(`the next one after at most ${worst.toFixed(0)} ms`);
    assert.ok(worst < quick.leaseDurationMs + quick.retryPeriodMs * 2.2 + 2 * 1900 + 200, `${worst} ms`);
  });

  test('a holder stopped by SIGSTOP beyond the lease: revived, it drops the VIP before anything else', async () => {
    await longest(async (seed) => {
      const { world, holder, until } = await scene(seed, quick);
      holder.pause();
      await until('the next holder', () => holders(world).some((node) => node !== holder));
      await world.advance(7000);
      assert.equal(holder.vip, true, 'nothing of it has run');
      assert.equal(holder.holds, false, 'but it knows better when asked');
      holder.resume();
      await world.advance(1);
      assert.equal(holder.vip, false);
      await world.advance(10_000);
      assert.equal(world.nodes.filter((node) => node.vip).length, 1);
      return { world, ms: 0 };
    });
  });
});
