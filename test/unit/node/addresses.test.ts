import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ip, macFromBytes } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { createNode } from '../../../src/node/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { addressOf, both, putUnmarkedVip, scene } from './scene.ts';

// Linux reports no preferred lifetime for an IPv4 address that is valid forever, only that it is deprecated.
const line4 =
  '2: eth0 inet 192.0.2.1/32 scope global deprecated proto 248 valid_lft forever preferred_lft forever';
const line6 =
  '2: eth0 inet6 2001:db8::1/128 scope global deprecated proto 248 valid_lft forever preferred_lft 0sec';

test('publish puts a VIP on its link before it returns, withdraw takes it off before it returns', async () => {
  const { node, marked, news, clock } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  assert.equal(marked(), line4);
  assert.ok(node.isPresent(ip('192.0.2.1')));
  node.withdraw('control-plane');
  assert.equal(marked(), '');
  assert.equal(node.isPresent(ip('192.0.2.1')), false);
  // Events of the addition that were still on their way do not bring it back to mind.
  await clock.flush();
  assert.equal(node.isPresent(ip('192.0.2.1')), false);
  assert.deepEqual(news, ['ready 192.0.2.1 eth0']);
  assert.deepEqual(node.status(), []);
});

test('where a VIP was before is forgotten while it is here, and nothing else', async () => {
  const { node, kernel, clock } = await scene();
  const eth0 = kernel.linkByName('eth0')?.index ?? 0;
  const other = kernel.addLink({ name: 'eth1' }).index;
  const mac = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 9));
  const entry = (ifindex: number, address: string): void => {
    kernel.setNeighbour({ ifindex, address: ip(address), mac, state: 'stale' });
  };
  for (const address of ['192.0.2.1', '192.0.2.7', '2001:db8::1']) entry(eth0, address);
  entry(other, '192.0.2.1');
  node.publish('control-plane', [addressOf('192.0.2.1'), addressOf('2001:db8::1', { noDad: true })]);
  assert.equal((await kernel.neighbours()).length, 4);
  await clock.advance(1000);
  const left = (await kernel.neighbours()).map(({ ifindex, address }) => `${ifindex} ${address}`);
  assert.deepEqual(left, [`${eth0} 192.0.2.7`, `${other} 192.0.2.1`]);
});

test('a tenure that was handed over: IPv6 VIPs wait for no detection, until it was a while ago', async () => {
  const { node, marked } = await scene();
  let isFresh = true;
  const fence = { holds: () => true, wasHandedOver: () => isFresh };
  node.publish('control-plane', [addressOf('2001:db8::1', { fence })]);
  assert.match(marked(), /2001:db8::1\/128 .*nodad/);
  isFresh = false;
  node.publish('service/default/a', [addressOf('2001:db8::2', { fence })]);
  assert.match(marked(), /2001:db8::2\/128 .*tentative/);
  assert.match(marked(), /2001:db8::1\/128 .*nodad/, 'what is there stays as it is');
});

test('a VIP that two owners share goes with the last of them', async () => {
  const { node, marked } = await scene();
  node.publish('service/default/a', [addressOf('192.0.2.1')]);
  node.publish('service/default/b', [addressOf('192.0.2.1'), addressOf('192.0.2.2')]);
  assert.deepEqual(node.status()[0]?.owners, ['service/default/a', 'service/default/b']);
  node.withdraw('service/default/a');
  assert.match(marked(), /192\.0\.2\.1/);
  node.publish('service/default/b', [addressOf('192.0.2.2')]);
  assert.doesNotMatch(marked(), /192\.0\.2\.1/);
  assert.match(marked(), /192\.0\.2\.2/);
});

test('publishing the same again writes nothing', async () => {
  const { node, kernel } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1'), addressOf('2001:db8::1')]);
  kernel.failNext('set address', errnoOf.EPERM);
  node.publish('control-plane', [addressOf('192.0.2.1'), addressOf('2001:db8::1')]);
  assert.deepEqual(node.counters().failed, 0);
});

test('specs published before the first dump are applied by it', async () => {
  const { marked, restart } = await scene();
  const next = restart();
  const node = await next;
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  assert.equal(marked(), line4);
});

test('an IPv6 VIP is ready when duplicate address detection is through', async () => {
  const { node, news, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('2001:db8::1')]);
  assert.match(marked(), /tentative/);
  assert.deepEqual(node.status()[0]?.state, { state: 'waiting', reason: 'duplicate address detection' });
  await clock.advance(999);
  assert.deepEqual(news, []);
  await clock.advance(1);
  assert.deepEqual(news, ['ready 2001:db8::1 eth0']);
  assert.deepEqual(node.status()[0]?.state, { state: 'ready' });
  assert.equal(marked(), line6);
});

test('without detection an IPv6 VIP is ready at once', async () => {
  const { node, news, marked } = await scene();
  node.publish('control-plane', [addressOf('2001:db8::1', { noDad: true })]);
  assert.deepEqual(news, ['ready 2001:db8::1 eth0']);
  assert.match(marked(), / nodad /);
});

test('an IPv6 VIP that fails detection is added again without it at once', async () => {
  const { node, news, clock, marked, logged } = await scene((kernel) => kernel.failDad('2001:db8::1'));
  node.publish('control-plane', [addressOf('2001:db8::1')]);
  await clock.advance(1000);
  assert.deepEqual(news, ['ready 2001:db8::1 eth0']);
  assert.doesNotMatch(marked(), /dadfailed|tentative/);
  assert.match(marked(), / nodad /);
  assert.ok(
    logged.includes('warn duplicate address detection failed: VIP added again without it 2001:db8::1'),
  );
});

test('a VIP removed by somebody else is back when the event has been read, and told', async () => {
  const { node, kernel, clock, news, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1'), addressOf('2001:db8::1', { noDad: true })]);
  news.length = 0;
  kernel.takeAddress('eth0', '192.0.2.1', 32);
  kernel.takeAddress('eth0', '2001:db8::1', 128);
  await clock.flush();
  assert.deepEqual(marked().split('\n').length, 2);
  assert.deepEqual(news, [
    'restored 192.0.2.1 eth0',
    'ready 192.0.2.1 eth0',
    'restored 2001:db8::1 eth0',
    'ready 2001:db8::1 eth0',
  ]);
  assert.equal(node.counters().restored, 2);
});

test('an IPv6 VIP comes back without the second that detection takes: it was ours a moment ago', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('2001:db8::1')]);
  await clock.advance(1000);
  kernel.takeAddress('eth0', '2001:db8::1', 128);
  await clock.flush();
  assert.match(marked(), /deprecated nodad/);
  assert.doesNotMatch(marked(), /tentative/);
});

test('after the link was down both families are back', async () => {
  const { node, kernel, clock, marked, news } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1'), addressOf('2001:db8::1', { noDad: true })]);
  kernel.setLinkDown('eth0');
  await clock.flush();
  assert.equal(marked(), line4);
  const down = node.status().find(({ spec }) => spec.vip === '2001:db8::1');
  assert.deepEqual(down?.state, { state: 'waiting', reason: 'link eth0 is down' });
  news.length = 0;
  kernel.setLinkUp('eth0');
  await clock.flush();
  assert.match(marked(), /192\.0\.2\.1[^]*2001:db8::1/);
  assert.deepEqual(news, ['restored 2001:db8::1 eth0', 'ready 2001:db8::1 eth0']);
});

test('a link that is deleted and made again gets its VIPs back', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  kernel.removeLink('eth0');
  await clock.flush();
  assert.deepEqual(node.status()[0]?.state, { state: 'waiting', reason: 'no link eth0' });
  const { index } = kernel.addLink({ name: 'eth0' });
  await clock.flush();
  assert.equal(marked(), line4.replace('2:', `${index}:`));
});

test('a spec waits for a link that does not exist yet', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1', { link: 'eth1' })]);
  assert.equal(marked(), '');
  kernel.addLink({ name: 'eth1' });
  await clock.flush();
  assert.match(marked(), /eth1 inet 192\.0\.2\.1/);
});

test('a VIP that moves to another link is there before it leaves the old one', async () => {
  const { node, kernel, marked } = await scene((k) => k.addLink({ name: 'eth1' }));
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  const order: string[] = [];
  kernel.watch(['address'], (event) => {
    if (event.kind === 'address') order.push(`${event.change} ${event.address.ifindex}`);
  });
  node.publish('control-plane', [addressOf('192.0.2.1', { link: 'eth1' })]);
  assert.match(marked(), /^3: eth1 inet 192\.0\.2\.1/);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, ['set 3', 'gone 2']);
});

test('a VIP that moves to another link is there before it leaves the old one, also while hundreds wait', async () => {
  const { node, kernel, clock, marked } = await scene();
  const vips = Array.from({ length: 300 }, (_, i) => `10.9.${i >> 8}.${i & 255}`);
  const last = '10.9.1.43';
  node.publish('service/x/before', [addressOf(last)]);
  node.publish(
    'control-plane',
    vips.map((vip) => addressOf(vip, { link: 'eth1' })),
  );
  await clock.advance(10);
  assert.ok(!node.isBusy());
  kernel.addLink({ name: 'eth1' });
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(node.isBusy());
  assert.doesNotMatch(marked(), /eth1 inet 10\.9\.1\.43/);
  node.withdraw('service/x/before');
  assert.match(marked(), /eth1 inet 10\.9\.1\.43/);
  assert.doesNotMatch(marked(), /eth0/);
});

test('a fence that does not hold keeps a VIP off, also as a repair', async () => {
  const { node, kernel, clock, marked } = await scene();
  let holds = false;
  const fence = { holds: () => holds };
  node.publish('control-plane', [addressOf('192.0.2.1', { fence })]);
  assert.equal(marked(), '');
  assert.deepEqual(node.status()[0]?.state, { state: 'waiting', reason: 'the lease is not held' });
  holds = true;
  node.publish('control-plane', [addressOf('192.0.2.1', { fence })]);
  assert.equal(marked(), line4);
  holds = false;
  kernel.takeAddress('eth0', '192.0.2.1', 32);
  await clock.advance(120_000);
  assert.equal(marked(), '');
});

test('an owner without a fence keeps a shared VIP whatever the other fence says', async () => {
  const { node, marked } = await scene();
  node.publish('service/default/a', [addressOf('192.0.2.1', { fence: { holds: () => false } })]);
  assert.equal(marked(), '');
  node.publish('service/default/b', [addressOf('192.0.2.1')]);
  assert.equal(marked(), line4);
});

test('a lost event is made up for by the next full check', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  await clock.flush();
  kernel.loseEvents(() => kernel.takeAddress('eth0', '192.0.2.1', 32));
  await clock.flush();
  assert.equal(marked(), line4, 'after a resync');
  assert.equal(node.counters().restored, 1);
});

test('what a full check shows to be different is put right, even if its number is there', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  await clock.flush();
  kernel.loseEvents(() => {
    kernel.takeAddress('eth0', '192.0.2.1', 32);
    kernel.putAddress('eth0', '192.0.2.1', 32, { protocol: 248 });
  });
  assert.notEqual(marked(), line4);
  await clock.flush();
  assert.equal(marked(), line4, 'deprecated again');
});

test('without any event the timer finds it', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  const watch = kernel.watch.bind(kernel);
  kernel.watch = (kinds) => watch(kinds, () => undefined);
  node.close();
  await clock.advance(1);
  kernel.takeAddress('eth0', '192.0.2.1', 32);
  assert.equal(marked(), '');
  const deaf = createNode({ kernel, clock, log: silentLogger }, { refreshMs: 30_000 });
  await deaf.start();
  deaf.publish('control-plane', [addressOf('192.0.2.1')]);
  kernel.takeAddress('eth0', '192.0.2.1', 32);
  await clock.advance(29_999);
  assert.equal(marked(), '');
  await clock.advance(1);
  assert.equal(marked(), line4);
});

test('a full check that takes long is made less often: it may take a quarter of a thousandth of the time', async () => {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  kernel.addLink({ name: 'eth0' });
  const addresses = kernel.addresses.bind(kernel);
  kernel.addresses = async () => {
    await clock.sleep('dump', 20);
    return addresses();
  };
  const node = createNode({ kernel, clock, log: silentLogger }, { refreshMs: 30_000 });
  const start = node.start();
  await clock.advance(20);
  await start;
  await clock.advance(79_999);
  assert.equal(node.counters().dumps, 1);
  await clock.advance(21);
  assert.equal(node.counters().dumps, 2);
  node.close();
});

test('what the kernel refuses for a moment is tried again with growing pauses', async () => {
  const { node, kernel, clock, marked, logged, news } = await scene();
  kernel.failNext('set address', errnoOf.ENOBUFS, 3);
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  const [status] = node.status();
  assert.deepEqual(status?.state, {
    state: 'failed',
    reason: 'set address 192.0.2.1/32 on link 2: no buffer space available (ENOBUFS)',
    retryInMs: 50,
  });
  await clock.advance(50 + 100 + 199);
  assert.equal(marked(), '');
  await clock.advance(1);
  assert.equal(marked(), line4);
  assert.deepEqual(node.status()[0]?.state, { state: 'ready' });
  assert.equal(
    logged.filter((line) => line.startsWith('error')).length,
    1,
    'the same failure is logged once',
  );
  assert.equal(news.filter((line) => line.startsWith('failed')).length, 3);
});

test('an IPv6 VIP whose link has lost IPv6 with its MTU is back within three seconds of its return', async () => {
  const { node, kernel, clock, marked, logged } = await scene();
  kernel.failNext('set address', errnoOf.EINVAL, 2);
  node.publish('control-plane', [addressOf('2001:db8::1')]);
  await clock.advance(5999);
  assert.equal(marked(), '');
  await clock.advance(1);
  assert.match(marked(), /2001:db8::1/);
  assert.equal(logged.filter((line) => line.startsWith('error')).length, 1);
});

test('what only an operator can change is said once and tried at the next full check', async () => {
  const { node, kernel, clock, marked, logged } = await scene();
  kernel.failNext('set address', errnoOf.EPERM, 2);
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  const [status] = node.status();
  assert.equal(status?.state.state, 'failed');
  assert.match(status.state.reason, /missing capability NET_ADMIN/);
  await clock.advance(30_000);
  assert.equal(marked(), '');
  await clock.advance(30_000);
  assert.equal(marked(), line4);
  assert.equal(logged.filter((line) => line.startsWith('error')).length, 1);
});

test('CP-96 a VIP that its link had no IPv6 for is there within a tick of IPv6 coming back', async () => {
  const { node, kernel, clock, marked, logged } = await scene();
  kernel.failNext('set address', errnoOf.EACCES, 3);
  node.publish('control-plane', [addressOf('2001:db8::1', { noDad: true })]);
  await clock.advance(8999);
  assert.equal(marked(), '');
  await clock.advance(1);
  assert.match(marked(), /2001:db8::1\/128/);
  assert.equal(logged.filter((line) => line.startsWith('error')).length, 1);
});

test('a removal that fails is tried again until the VIP is gone', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  kernel.failNext('remove address', errnoOf.ENOBUFS);
  node.withdraw('control-plane');
  assert.equal(marked(), line4);
  const [status] = node.status();
  assert.deepEqual([status?.owners, status?.state.state], [[], 'failed']);
  await clock.advance(50);
  assert.equal(marked(), '');
  assert.deepEqual(node.status(), []);
});

test('a program that removes the VIP each time does not get the processor for it', async () => {
  const { node, kernel, clock, logged } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  kernel.watch(['address'], (event) => {
    if (event.kind !== 'address' || event.change !== 'set') return;
    if (kernel.showAddresses().includes('192.0.2.1')) kernel.takeAddress('eth0', '192.0.2.1', 32);
  });
  kernel.takeAddress('eth0', '192.0.2.1', 32);
  await clock.advance(2000);
  for (let i = 0; i < 100; i++) await clock.flush();
  const { restored } = node.counters();
  assert.ok(restored >= 40 && restored <= 100, `${restored} times in two seconds`);
  assert.ok(logged.some((line) => line.startsWith('error VIP cannot be put on its link')));
  node.close();
});

test('a limited lifetime is renewed at half of it, for as long as it is wanted', async () => {
  const { node, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1', { validLifetime: 60 })]);
  await clock.advance(29_000);
  assert.match(marked(), /valid_lft 31sec/);
  await clock.advance(2000);
  assert.match(marked(), /valid_lft 59sec/);
  await clock.advance(300_000);
  assert.notEqual(marked(), '');
  node.close();
  await clock.advance(60_000);
  assert.equal(marked(), '');
});

describe('a VIP that lives no longer than the tenure', () => {
  async function held(leftMs: number) {
    const stage = await scene();
    const { clock, node } = stage;
    const tenure = { until: clock.now() + leftMs };
    const remainingMs = (): number => tenure.until - clock.now();
    const fence = { holds: () => remainingMs() > 0, remainingMs };
    node.publish('control-plane', [addressOf('192.0.2.1', { validLifetime: 'tenure', fence })]);
    return { ...stage, tenure };
  }

  test('has what is left of it, in whole seconds, and stays for as long as it is prolonged', async () => {
    const { node, clock, marked, tenure } = await held(4900);
    assert.match(marked(), /valid_lft 4sec/);
    for (let second = 0; second < 20; second++) {
      await clock.advance(1000);
      tenure.until += 1000;
      assert.match(marked(), /valid_lft [1-4]sec/);
    }
    assert.equal(node.counters().restored, 0);
    node.close();
  });

  test('is taken off by the kernel when this process does nothing any more', async () => {
    const { node, clock, marked } = await held(4900);
    await clock.advance(1000);
    node.close();
    await clock.advance(2900);
    assert.notEqual(marked(), '');
    await clock.advance(1000);
    assert.equal(marked(), '');
  });

  test('is never given more than is left, and stays when it is prolonged in its last second', async () => {
    const { node, clock, marked, tenure } = await held(2000);
    await clock.advance(1300);
    assert.match(marked(), /valid_lft 1sec/);
    tenure.until += 3000;
    await clock.advance(600);
    assert.match(marked(), /valid_lft 3sec/);
    assert.equal(node.counters().restored, 0);
    node.close();
  });
});

test('a prefix that has a broadcast address gets it', async () => {
  const { node, marked } = await scene();
  node.publish('control-plane', [
    addressOf('192.0.2.130', { prefixLength: 25 }),
    addressOf('198.51.100.1', { prefixLength: 31 }),
  ]);
  assert.match(marked(), /192\.0\.2\.130\/25 brd 192\.0\.2\.255 /);
  assert.match(marked(), /198\.51\.100\.1\/31 scope/);
});

test('a VIP on the loopback link has the scope its spec says', async () => {
  const { node, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1', { link: 'lo', scope: 'host' })]);
  assert.match(marked(), /lo inet 192\.0\.2\.1\/32 scope host deprecated/);
});

test('attributes somebody changes are put right; what is not ours to manage is left', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  await clock.flush();
  kernel.putAddress('eth0', '192.0.2.1', 32, { protocol: 0 });
  await clock.flush();
  assert.equal(marked(), line4);
});

test('an address of the node itself is never changed or removed, whatever is published', async () => {
  for (const [vip, prefixLength, others] of [
    ['192.0.2.1', 32, 32],
    ['2001:db8::1', 128, 128],
    ['2001:db8::1', 128, 64],
  ] as const) {
    const { node, kernel, clock, logged, news } = await scene((k) =>
      k.putAddress('eth0', vip, others, { noDad: true }),
    );
    const before = kernel.showAddresses();
    node.publish('control-plane', [addressOf(vip, { prefixLength })]);
    assert.deepEqual(node.status()[0]?.state, { state: 'ready' });
    await clock.advance(60_000);
    assert.equal(kernel.showAddresses(), before);
    node.withdraw('control-plane');
    node.sweep();
    await clock.advance(60_000);
    assert.equal(kernel.showAddresses(), before);
    assert.deepEqual(news, [`ready ${vip} eth0`]);
    assert.equal(
      logged.filter((line) => line.startsWith('warn the VIP is an address of this node')).length,
      1,
    );
  }
});

test('the same number with another prefix is added beside the node’s own IPv4 address', async () => {
  const { node, kernel, marked } = await scene((k) => k.putAddress('eth0', '192.0.2.1', 24));
  const before = kernel.showAddresses();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  assert.equal(marked(), line4);
  node.withdraw('control-plane');
  assert.equal(kernel.showAddresses(), before);
});

for (const canWrite of [true, false]) {
  test(`removing a VIP takes no other address of its subnet along (settings ${canWrite ? 'writable' : 'read-only'})`, async () => {
    const { node, kernel, clock } = await scene();
    node.publish('control-plane', [addressOf('192.0.2.1', { prefixLength: 24 })]);
    kernel.putAddress('eth0', '192.0.2.9', 24);
    if (!canWrite) await clock.flush();
    if (!canWrite) kernel.failNext('write sysctl', errnoOf.EROFS);
    node.withdraw('control-plane');
    const left = kernel.showAddresses({ link: 'eth0' });
    assert.match(left, /192\.0\.2\.9\/24/);
    assert.doesNotMatch(left, /192\.0\.2\.1\//);
    assert.equal(kernel.readSysctl('net.ipv4.conf.eth0.promote_secondaries'), '0', 'as it was before');
  });
}

test('observers may publish from inside a callback', async () => {
  const { kernel, clock } = await scene();
  const node = createNode({
    kernel,
    clock,
    log: silentLogger,
    observer: { addressReady: (vip) => vip === '192.0.2.1' && node.withdraw('control-plane') },
  });
  await node.start();
  node.publish('control-plane', both('192.0.2.1'));
  assert.equal(kernel.showAddresses({ protocol: 248 }), '');
  assert.deepEqual(node.status(), []);
});

test('close leaves nothing running and no address touched', async () => {
  const { node, kernel, clock, marked } = await scene();
  node.publish('control-plane', both('192.0.2.1'));
  await clock.advance(100);
  node.close();
  assert.equal(marked(), line4);
  assert.deepEqual(kernel.openHandles, { watchers: 0, packetSockets: 0 });
  assert.deepEqual(
    clock.timers().map(({ name }) => name),
    [],
  );
});

test('unmarked VIPs: see leftovers', async () => {
  const { node, kernel } = await scene((k) => putUnmarkedVip(k, 'eth0', '192.0.2.1', 32));
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  assert.equal(kernel.showAddresses({ protocol: 248 }), line4);
});
