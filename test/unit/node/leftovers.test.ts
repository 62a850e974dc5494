import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, type Ip } from '../../../src/lib/ip.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { addressOf, both, putUnmarkedVip, scene } from './scene.ts';

const isClaimed = (vip: Ip): boolean => vip === ip('192.0.2.1');

test('a VIP left by a crash is removed by the sweep of a node that does not hold', async () => {
  const { node, marked, restart } = await scene();
  node.publish('control-plane', [...both('192.0.2.1'), ...both('2001:db8::1')]);
  const next = await restart();
  assert.match(marked(), /192\.0\.2\.1[^]*2001:db8::1/, 'nothing goes before the sweep');
  assert.deepEqual(
    next.leftovers().map(({ address, link, marked: isMarked }) => [address.address, link, isMarked]),
    [
      ['192.0.2.1', 'eth0', true],
      ['2001:db8::1', 'eth0', true],
    ],
  );
  next.sweep();
  assert.equal(marked(), '');
  assert.deepEqual(next.leftovers(), []);
  assert.equal(next.counters().swept, 2);
});

test('a kube-vip that sets no mark leaves a deprecated VIP: swept when it is one of ours', async () => {
  const setUp = (...[kernel]: Parameters<NonNullable<Parameters<typeof scene>[0]>>): void => {
    putUnmarkedVip(kernel, 'eth0', '192.0.2.1', 32);
    putUnmarkedVip(kernel, 'eth0', '192.0.2.2', 32);
    kernel.putAddress('eth0', '198.51.100.7', 24);
  };
  const { node, kernel } = await scene(setUp, { isClaimed });
  assert.deepEqual(
    node.leftovers().map(({ address, marked }) => [address.address, marked]),
    [['192.0.2.1', false]],
  );
  node.sweep();
  const left = kernel.showAddresses({ link: 'eth0' });
  assert.doesNotMatch(left, /192\.0\.2\.1\//);
  assert.match(left, /192\.0\.2\.2\//);
  assert.match(left, /198\.51\.100\.7/);
});

test('an address of the node that equals the VIP is no leftover and is never swept or removed', async () => {
  const { node, kernel, restart } = await scene((k) => k.putAddress('eth0', '192.0.2.1', 32), { isClaimed });
  const before = kernel.showAddresses();
  node.sweep();
  assert.equal(kernel.showAddresses(), before, 'at the start');
  node.publish('control-plane', both('192.0.2.1'));
  node.withdraw('control-plane');
  assert.equal(kernel.showAddresses(), before, 'after a tenure');
  const next = await restart();
  next.sweep();
  assert.equal(kernel.showAddresses(), before, 'after a restart');
});

test('a leftover that is wanted is adopted: it never leaves the link', async () => {
  for (const mark of [true, false]) {
    const { node, kernel, clock, marked, sent, logged, restart } = await scene(
      (k) => (mark ? undefined : putUnmarkedVip(k, 'eth0', '192.0.2.1', 32)),
      { isClaimed },
    );
    if (mark) node.publish('control-plane', [addressOf('192.0.2.1')]);
    const next = await restart();
    const changes: string[] = [];
    kernel.watch(['address'], (event) => event.kind === 'address' && changes.push(event.change));
    next.publish('control-plane', both('192.0.2.1'));
    next.sweep();
    await clock.advance(60_000);
    assert.match(marked(), /192\.0\.2\.1\/32/);
    assert.ok(!changes.includes('gone'));
    assert.deepEqual(changes, mark ? [] : ['set'], 'written only to mark it');
    assert.ok(logged.includes('info VIP of a predecessor adopted 192.0.2.1'));
    assert.equal(next.counters().adopted, 1);
    assert.ok(sent().length > 10, 'and announced');
    next.withdraw('control-plane');
    assert.equal(marked(), '', 'it is ours now');
  }
});

test('a leftover with another prefix goes after the wanted one has come', async () => {
  const { node, marked, restart } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1', { prefixLength: 24 })]);
  const next = await restart();
  next.publish('control-plane', [addressOf('192.0.2.1')]);
  assert.equal(marked().split('\n').length, 1);
  assert.match(marked(), /192\.0\.2\.1\/32/);
});

test('a sweep with a filter takes only what it picks', async () => {
  const { node, marked, restart } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  node.publish('service/default/a', [addressOf('192.0.2.2')]);
  const next = await restart();
  next.sweep(({ address }) => address.address === '192.0.2.1');
  assert.doesNotMatch(marked(), /192\.0\.2\.1\//);
  assert.match(marked(), /192\.0\.2\.2\//);
});

test('a leftover that cannot be removed is said once and tried again, unless it is wanted by then', async () => {
  const { node, kernel, clock, marked, restart, logged } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1'), addressOf('192.0.2.2')]);
  const next = await restart();
  kernel.failNext('remove address', errnoOf.EBUSY, 4);
  assert.deepEqual(next.sweep(), []);
  next.publish('control-plane', [addressOf('192.0.2.2')]);
  await clock.advance(50);
  assert.match(marked(), /192\.0\.2\.1\//);
  await clock.advance(60_000);
  assert.doesNotMatch(marked(), /192\.0\.2\.1\//);
  assert.match(marked(), /192\.0\.2\.2\//);
  const said = logged.filter((line) => line.startsWith('error VIP of a predecessor cannot be removed'));
  assert.equal(said.length, 2, 'once for each');
});

test('a leftover is kept by a fenced spec that may not act yet, and withdrawn with it', async () => {
  const { node, marked, restart } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  const next = await restart();
  next.publish('control-plane', [addressOf('192.0.2.1', { fence: { holds: () => false } })]);
  assert.deepEqual(next.leftovers(), []);
  next.withdraw('control-plane');
  assert.equal(marked(), '');
});

test('on a kernel that keeps no marks a VIP is ours for as long as the process lives', async () => {
  const setUp = (...[kernel]: Parameters<NonNullable<Parameters<typeof scene>[0]>>): void => {
    const set = kernel.setAddresses.bind(kernel);
    kernel.setAddresses = (requests) => set(requests.map((request) => ({ ...request, protocol: 0 })));
  };
  const { node, kernel, clock, restart } = await scene(setUp, { isClaimed });
  let writes = 0;
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    writes += requests.length;
    return set(requests);
  };
  node.publish('control-plane', both('192.0.2.1'));
  await clock.advance(120_000);
  assert.ok(writes <= 2, `${writes} writes: marking is tried once`);
  assert.ok(node.isPresent(ip('192.0.2.1')));
  kernel.takeAddress('eth0', '192.0.2.1', 32);
  await clock.flush();
  assert.match(kernel.showAddresses(), /192\.0\.2\.1\/32/);
  const next = await restart();
  assert.deepEqual(
    next.leftovers().map(({ address, marked }) => [address.address, marked]),
    [['192.0.2.1', false]],
  );
  next.publish('control-plane', both('192.0.2.1'));
  next.withdraw('control-plane');
  assert.doesNotMatch(kernel.showAddresses(), /192\.0\.2\.1\//);
});
