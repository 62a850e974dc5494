import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from './world/world.ts';

const timings = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 };

/** The lease is moved to another node before the copy is taken, or after, or not at all. */
const moves = ['before', 'after', 'never'] as const;

interface Case {
  readonly seed: number;
  readonly watch: boolean;
  readonly move: (typeof moves)[number];
  /** Between the copy and its return, ms. */
  readonly ageMs: number;
}

const cases: readonly Case[] = Array.from({ length: 120 }, (_, seed) => ({
  seed,
  watch: seed % 2 === 0,
  move: moves[seed % 3] ?? 'never',
  ageMs: [3000, 20_000, 300_000][seed % 5] ?? 60_000,
}));

/** A world in which etcd has just been restored from a copy. */
async function restored({ seed, watch, move, ageMs }: Case): Promise<World> {
  const world = new World({ seed, watch, timings, nodes: 3, rateSpread: 0, faultsMs: 0, episodes: 0 });
  const turn = async (): Promise<void> => {
    world.nodes.find(({ holds }) => holds)?.resign(3000);
    await world.advance(10_000);
  };
  world.start();
  await world.advance(20_000);
  if (move === 'before') await turn();
  const restore = world.lease.backup();
  if (move === 'after') await turn();
  await world.advance(ageMs);
  restore();
  for (const node of world.nodes) node.resyncWatch();
  return world;
}

async function firstHolderWithin(world: World, ms: number): Promise<string | undefined> {
  for (let passed = 0; passed < ms; passed += 100) {
    const holder = world.nodes.find(({ holds }) => holds);
    if (holder !== undefined) return holder.identity;
    await world.advance(100);
  }
  return undefined;
}

test('etcd is restored: never two holders, also when its versions come to where they were before', async () => {
  for (const each of cases) {
    const world = await restored(each);
    await world.advance(each.ageMs + 60_000);
    assert.deepEqual(world.violations, [], JSON.stringify(each));
    assert.equal(world.nodes.filter(({ holds }) => holds).length, 1, JSON.stringify(each));
  }
});

test('etcd is restored: a holder that it names keeps the VIP', async () => {
  for (const each of cases.filter(({ move }) => move !== 'after')) {
    const world = await restored(each);
    const holder = world.nodes.find(({ holds }) => holds);
    const tenures = holder?.tenures;
    await world.advance(60_000);
    assert.equal(holder?.holds, true, JSON.stringify(each));
    assert.equal(holder.tenures, tenures, JSON.stringify(each));
  }
});

test('etcd is restored: a holder that dies afterwards is followed by another as ever', async () => {
  for (const each of cases) {
    const world = await restored(each);
    await world.advance(40_000);
    world.nodes.find(({ holds }) => holds)?.crash();
    assert.notEqual(await firstHolderWithin(world, 20_000), undefined, JSON.stringify(each));
  }
});
