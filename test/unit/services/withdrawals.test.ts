import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordOf } from '../../../src/testing/contract/election-subject.ts';
import type { ServicesOptions } from '../../../src/services/index.ts';
import { World, type TestNode } from './scene.ts';

const lease = 'kube-system/plndr-svcs-lock';
const many = 300;
const vipOf = (n: number): string => `192.0.${2 + Math.floor(n / 250)}.${1 + (n % 250)}`;

interface Stage {
  readonly world: World;
  readonly holder: TestNode;
  readonly other: TestNode;
  /** For each turn of the event loop in which VIPs left the holder: how many, and how long it took. */
  readonly turns: { gone: number; ms: number }[];
  /** Ends the world, in which removing takes no time any more. */
  readonly end: () => Promise<void>;
}

/** A holder of hundreds of VIPs, whose kernel needs a tenth of a millisecond to remove one. */
async function stage(options: Partial<ServicesOptions> = {}): Promise<Stage> {
  const world = new World(options);
  for (const name of ['a', 'b']) await world.add(name);
  for (let n = 0; n < many; n++) world.serve({ name: `web${n}`, vip: vipOf(n) });
  await world.run(1000);
  const [holder, other] = world.nodes.toSorted((a, b) => b.vips().length - a.vips().length);
  assert.ok(holder !== undefined && other !== undefined);
  assert.equal(holder.vips().length, many);
  const turns: Stage['turns'] = [];
  let isSameTurn = false;
  const remove = holder.kernel.removeAddresses.bind(holder.kernel);
  holder.kernel.removeAddresses = (keys) => {
    if (!isSameTurn) turns.push({ gone: 0, ms: 0 });
    isSameTurn = true;
    setImmediate(() => (isSameTurn = false));
    world.clock.pause(keys.length / 10);
    const turn = turns.at(-1);
    if (turn !== undefined) turn.gone += keys.length;
    if (turn !== undefined) turn.ms += keys.length / 10;
    return remove(keys);
  };
  const end = async (): Promise<void> => {
    holder.kernel.removeAddresses = remove;
    await world.close();
  };
  return { world, holder, other, turns, end };
}

test('hundreds of VIPs leave in turns that end, and the lease is released when the last one is gone', async () => {
  const { world, holder, other, turns, end } = await stage();
  const sent = holder.kernel.frames.length;
  holder.stop.abort();
  await Promise.resolve();
  assert.ok(holder.vips().length > 0, 'not all in one turn');
  assert.ok(holder.vips().length < many, 'the first ones at once');
  while (holder.vips().length > 0) {
    assert.ok(holder.operator.isBusy(), 'what is urgent has not ended');
    assert.equal(world.holderOf(lease), holder.name);
    assert.deepEqual(other.vips(), []);
    await world.clock.advance(1);
  }
  assert.ok(turns.length > 2 && Math.max(...turns.map(({ ms }) => ms)) < 30, JSON.stringify(turns));
  assert.equal(holder.kernel.frames.length, sent, 'what still waits for its turn is silent');
  await world.run(1000);
  await holder.ended;
  assert.equal(other.vips().length, many);
  assert.deepEqual(world.doubles, []);
  assert.equal(holder.story.filter((line) => line.startsWith('- ')).length, many);
  await end();
});

test('VIPs whose lease is taken go in turns too; one that is wanted again meanwhile is not added', async () => {
  const { world, holder, end } = await stage();
  world.lease(lease).put(recordOf('somebody', { leaseDurationSeconds: 2 }));
  const left = holder.vips().length;
  assert.ok(left > 0 && left < many);
  world.serve({ name: 'web0', vip: vipOf(0), port: 8080 });
  world.serve({ name: `web${many - 1}`, vip: vipOf(many - 1), port: 8080 });
  const added = holder.kernel.setAddresses.bind(holder.kernel);
  holder.kernel.setAddresses = (requests) => {
    assert.equal(world.holderOf(lease), holder.name, 'nothing is added without the lease');
    return added(requests);
  };
  for (let n = 0; n < 30 && holder.vips().length > 0; n++) await world.run(1);
  assert.deepEqual(holder.vips(), []);
  await world.run(6000);
  assert.equal(
    world.nodes.reduce((sum, node) => sum + node.vips().length, 0),
    many,
    'held again',
  );
  assert.deepEqual(world.doubles, []);
  await end();
});

test('VIPs that are preserved fall silent in turns, and go in turns when another node holds', async () => {
  const { world, holder, other, end } = await stage({ preserve: true });
  const turns: number[] = [];
  let isSameTurn = false;
  holder.published = (services) => {
    if (!isSameTurn) turns.push(0);
    isSameTurn = true;
    setImmediate(() => (isSameTurn = false));
    world.clock.pause(services / 10);
    turns.push((turns.pop() ?? 0) + services);
  };
  // Nobody can have the lease until the holder has lost it.
  other.isCutOff = true;
  holder.isCutOff = true;
  for (let n = 0; n < 5000 && turns.length === 0; n++) await world.clock.advance(1);
  assert.ok(turns.reduce((sum, services) => sum + services, 0) < many, 'not all in one turn');
  const sent = holder.kernel.frames.length;
  const report = [...holder.operator.services()].map(({ state }) => state);
  assert.ok(
    report.every((state) => /^preserved/.test(state)),
    report[0],
  );
  await world.run(100);
  assert.equal(
    turns.reduce((sum, services) => sum + services, 0),
    many,
  );
  assert.ok(Math.max(...turns) <= 256, `silent in turns of ${turns.join()}`);
  assert.equal(holder.vips().length, many);
  assert.equal(holder.kernel.frames.length, sent, 'what still waits for its turn is silent');
  turns.splice(0);
  other.isCutOff = false;
  await world.run(8000);
  assert.equal(other.vips().length, many);
  holder.isCutOff = false;
  await world.run(3000);
  assert.deepEqual(holder.vips(), []);
  assert.ok(Math.max(...turns) <= 256, `gone in turns of ${turns.join()}`);
  await end();
});

test('preserved VIPs that wait for their turn to fall silent go at the stop, and stay when the lease is held again', async () => {
  const { world, holder, other, end } = await stage({ preserve: true });
  other.isCutOff = true;
  // One turn does not do.
  holder.published = (services) => {
    world.clock.pause(services / 10);
  };
  world.lease(lease).put(recordOf('somebody', { leaseDurationSeconds: 2 }));
  world.serve({ name: 'web0', vip: vipOf(0), port: 8080 });
  await world.run(6000);
  assert.equal(world.holderOf(lease), holder.name);
  assert.equal(holder.vips().length, many);
  const states = [...holder.operator.services()].map(({ state }) => state);
  assert.ok(
    states.every((state) => state === 'advertised'),
    states.join(),
  );
  holder.isCutOff = true;
  holder.stop.abort();
  await world.run(15_000);
  assert.deepEqual(holder.vips(), []);
  await end();
});

test('a process that ends at once takes everything with it', async () => {
  const { world, holder, end } = await stage();
  holder.stop.abort();
  await Promise.resolve();
  assert.ok(holder.vips().length > 0);
  holder.operator.withdrawNow();
  assert.deepEqual(holder.vips(), []);
  await world.run(1000);
  await holder.ended;
  await end();
});

test('a single one does not wait behind hundreds', async () => {
  const { world, holder, end } = await stage();
  world.lease(lease).put(recordOf('somebody', { leaseDurationSeconds: 2 }));
  const last = holder.vips().at(-1) ?? '';
  const n = Array.from({ length: many }, (_, i) => i).find((i) => last.startsWith(`${vipOf(i)}/`));
  world.remove(`web${n}`);
  assert.ok(!holder.vips().includes(last));
  assert.ok(holder.vips().length > 0);
  await end();
});
