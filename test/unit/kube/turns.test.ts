import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReflector, leases } from '../../../src/kube/index.ts';
import type { Lease } from '../../../src/kube/index.ts';
import { Turns } from '../../../src/kube/turns.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { eventually, startApi } from './fixture.ts';

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Time passes while items are handled, so the next turn is not due in the same `advance`. */
async function turnsUntil(clock: FakeClock, work: Promise<void> | undefined): Promise<number> {
  const state = { turns: 0, isOver: false };
  const over = (): void => {
    state.isOver = true;
  };
  work?.then(over, over);
  for (; !state.isOver && state.turns < 1000; state.turns++) await clock.advance(0);
  await work;
  return state.turns;
}

test('what takes long is handled in turns of the event loop, in order', async () => {
  const clock = new FakeClock();
  const turns = new Turns(clock);
  const handled: number[] = [];
  const handle = (item: number): void => {
    handled.push(item);
    clock.pause(3);
  };
  const rest = turns.each(upTo(7), handle);
  assert.deepEqual(handled, [0, 1, 2]);
  await clock.flush();
  assert.equal(handled.length, 3, 'not in the same turn');
  assert.equal(await turnsUntil(clock, rest), 2);
  assert.deepEqual(handled, upTo(7));
});

test('what takes no time is handled where it is, and what throws ends it', async () => {
  const clock = new FakeClock();
  const turns = new Turns(clock);
  let handled = 0;
  assert.equal(
    turns.each(upTo(1000), () => handled++),
    undefined,
  );
  assert.equal(handled, 1000);
  assert.equal(clock.timers().length, 0);
  const rest = turns.each(upTo(9), (item) => {
    clock.pause(9);
    if (item === 2) throw new Error('three');
  });
  await assert.rejects(turnsUntil(clock, rest), /three/);
});

test('those who come while a turn is used up wait for the next one too', async () => {
  const clock = new FakeClock();
  const turns = new Turns(clock);
  const handled: string[] = [];
  const handle = (item: string): void => {
    handled.push(item);
    clock.pause(5);
  };
  const first = turns.each(['a', 'b', 'c'], handle);
  const second = turns.each(['x'], handle);
  assert.deepEqual(handled, ['a', 'b']);
  await turnsUntil(clock, first);
  await turnsUntil(clock, second);
  assert.deepEqual(handled, ['a', 'b', 'c', 'x']);
});

const lease = (i: number): Lease => ({ metadata: { namespace: 'ns', name: `lease-${i}` } });

test('a thousand events that come together do not hold the loop: the watch reads on when they are handled', async (t) => {
  const { api, client, clock, log } = await startApi(t, { client: { pingMs: 1e9, timeoutMs: 1e9 } });
  const perTurn: number[] = [];
  let heard = 0;
  const reflector = createReflector<Lease>(
    { client, clock, log, random: () => 0.5 },
    {
      resource: leases,
      listener: {
        changed: () => {
          heard++;
          perTurn.push((perTurn.pop() ?? 0) + 1);
          clock.pause(1);
        },
      },
    },
  );
  const ending = new AbortController();
  const running = reflector.run(ending.signal);
  await eventually('the watch', () => api.openWatches === 1);
  for (const i of upTo(1000)) api.put(leases, lease(i));
  await eventually('all of them', () => {
    perTurn.push(0);
    void clock.advance(0);
    return heard === 1000;
  });
  assert.ok(Math.max(...perTurn) <= 8, `${Math.max(...perTurn)} in one turn`);
  assert.equal(reflector.items.size, 1000);
  ending.abort();
  await running;
});

test('a list is handled page by page: the next one is asked for when the last is done with', async (t) => {
  const { api, client, clock, log } = await startApi(t, { client: { pingMs: 1e9, timeoutMs: 1e9 } });
  for (const i of upTo(5)) api.put(leases, lease(i));
  const lists = (): number => api.requests.filter(({ verb }) => verb === 'list').length;
  const askedFor: number[] = [];
  const reflector = createReflector<Lease>(
    { client, clock, log, random: () => 0.5 },
    { resource: leases, pageSize: 2, listener: { changed: () => askedFor.push(lists()) } },
  );
  const ending = new AbortController();
  const running = reflector.run(ending.signal);
  await eventually('the watch', () => api.openWatches === 1);
  assert.deepEqual(askedFor, [1, 1, 2, 2, 3]);
  ending.abort();
  await running;
});
