import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Notice } from '../../../src/ipam/index.ts';
import { Remarks } from '../../../src/ipam/remarks.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { turn, World } from './world.ts';

const minutes = (count: number): number => count * 60_000;
const annotation = 'kube-vip.io/loadbalancerIPs';

test('IPAM-18 who still waits is told again before the API server forgets the Event, and nobody else is', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.1' });
  world.create('shop/a', {});
  world.create('shop/b', {});
  await world.settle();
  const waits = 'shop/b AddressPoolExhausted';
  world.notices.length = 0;
  await world.clock.advance(minutes(25));
  assert.deepEqual(world.notices, []);
  await world.clock.advance(minutes(20));
  assert.deepEqual(world.notices, [waits]);
  world.remove('shop/a');
  await world.settle();
  world.notices.length = 0;
  await world.clock.advance(minutes(120));
  assert.deepEqual(world.notices, []);
  await world.leader.assigner.drain();
  assert.deepEqual(world.clock.timers(), []);
});

test('IPAM-18 of a crowd that waits all are told again, a few a minute, the longest ago first', async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const remarks = new Remarks(clock, (key) => void said.push(key));
  const notice: Notice = { type: 'Warning', reason: 'AddressPoolExhausted', message: 'none is free' };
  const keys = Array.from({ length: 20 }, (_, n) => `shop/s${n}`);
  for (const key of keys) remarks.tell(key, notice);
  assert.deepEqual(said.splice(0), keys);
  await clock.advance(minutes(30));
  assert.deepEqual(said.splice(0), keys.slice(0, 6));
  remarks.forget('shop/s7');
  await clock.advance(minutes(3));
  assert.deepEqual(
    said.splice(0),
    keys.slice(6).filter((key) => key !== 'shop/s7'),
  );
  assert.ok(!remarks.tell('shop/s0', notice), 'no news');
  remarks.close();
  await clock.advance(minutes(90));
  assert.deepEqual(said, []);
});

test('IPAM-14 a ConfigMap that is replaced is not created by us in between; one that stays away is', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.9' });
  await world.settle();
  world.leader.config(undefined);
  await world.clock.advance(5000);
  world.leader.config({ 'range-global': '10.0.0.5-10.0.0.9' });
  await world.clock.advance(60_000);
  assert.equal(world.created, 0);
  world.create('shop/a', {});
  await world.settle();
  assert.equal(world.objects.get('shop/a')?.metadata.annotations?.[annotation], '10.0.0.5');
  world.leader.config(undefined);
  await world.clock.advance(60_000);
  assert.equal(world.created, 1);
});

test('IPAM-11 a crowd that waits is looked through once for all addresses that become free in a moment', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.9' });
  for (let n = 0; n < 400; n++) world.create(`shop/s${n}`, {});
  await world.settle();
  const has = (): number =>
    [...world.objects.values()].filter(({ metadata }) => metadata.annotations?.[annotation] !== undefined)
      .length;
  assert.equal(has(), 9);
  const first = [...world.objects.keys()].slice(0, 5);
  for (const key of first) world.remove(key);
  world.leader.deliver(5);
  while (world.outstanding.length > 0) world.land();
  await turn();
  world.leader.deliver(5);
  await turn();
  assert.equal(world.outstanding.length, 0, 'later');
  await world.clock.advance(50);
  await turn();
  assert.equal(world.outstanding.length, 5);
  await world.settle();
  assert.equal(has(), 9);
});

/** Strips the Service each time that it has an address. Returns how often in this time. */
async function fight(world: World, key: string, forMs: number): Promise<number> {
  let rounds = 0;
  for (const end = world.clock.now() + forMs; world.clock.now() < end;) {
    world.leader.deliver(Infinity);
    while (world.outstanding.length > 0) world.land();
    await turn();
    world.leader.deliver(Infinity);
    if (world.objects.get(key)?.metadata.annotations?.[annotation] !== undefined) {
      world.strip(key);
      rounds++;
    }
    await world.clock.advance(100);
  }
  return rounds;
}

test('who takes off what is assigned again and again is answered less and less often, and everybody else at once', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.9' });
  world.create('shop/a', {});
  const rounds = await fight(world, 'shop/a', 60_000);
  assert.ok(rounds >= 5 && rounds <= 12, `${rounds} rounds in a minute`);
  assert.equal(world.notices.filter((notice) => notice === 'shop/a AddressTakenOff').length, 1);
  world.create('shop/b', {});
  world.leader.deliver(Infinity);
  while (world.outstanding.length > 0) world.land();
  assert.equal(world.objects.get('shop/b')?.metadata.annotations?.[annotation], '10.0.0.2');
  world.remove('shop/a');
  world.leader.deliver(Infinity);
  while (world.outstanding.length > 0) world.land();
  assert.equal(world.objects.has('shop/a'), false, 'who goes is not kept waiting');
});

test('a hand that takes an address off gets another one at once', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.9' });
  world.create('shop/a', {});
  for (let n = 0; n < 3; n++) {
    assert.equal(await fight(world, 'shop/a', 100), 1);
  }
  await world.settle();
  await world.clock.advance(minutes(10));
  assert.equal(await fight(world, 'shop/a', 400), 4);
});

test('a type that is changed back and forth is no fight', async () => {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.9' });
  world.create('shop/a', {});
  const serve = async (): Promise<void> => {
    world.leader.deliver(Infinity);
    while (world.outstanding.length > 0) world.land();
    await turn();
    world.leader.deliver(Infinity);
  };
  await serve();
  for (let n = 0; n < 8; n++) {
    world.setType('shop/a', n % 2 === 0 ? 'ClusterIP' : 'LoadBalancer');
    await serve();
    const finalizers = world.objects.get('shop/a')?.metadata.finalizers ?? [];
    assert.equal(finalizers.length, n % 2, `after ${n + 1} changes`);
  }
});
