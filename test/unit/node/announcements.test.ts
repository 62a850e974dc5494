import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, type Mac } from '../../../src/lib/ip.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { decodeArpFrame, decodeNdpFrame } from '../../../src/protocols/index.ts';
import { addressOf, announcementOf, both, scene } from './scene.ts';

const mac = '02:00:00:00:00:02';
const arp = (at: number, form: string, vip = '192.0.2.1'): string =>
  `${at} eth0 arp ${form} ${vip} is ${mac}`;

test('the first announcement leaves in the turn in which the address is added', async () => {
  const { node, sent } = await scene();
  node.publish('control-plane', both('192.0.2.1'));
  assert.deepEqual(sent(), [arp(0, 'reply'), arp(0, 'request')]);
});

test('a burst in both forms, then a refresh each period, in turn for each VIP', async () => {
  const { node, sent, clock } = await scene();
  node.publish('control-plane', both('192.0.2.1'));
  await clock.advance(12_000);
  assert.deepEqual(sent(), [
    ...[0, 50, 200, 500, 1000, 2000].flatMap((at) => [arp(at, 'reply'), arp(at, 'request')]),
    arp(5000, 'reply'),
    arp(8000, 'request'),
    arp(11_000, 'reply'),
  ]);
});

test('each frame is counted for its VIP, and the status tells when the last one left', async () => {
  const { node, clock, tallies } = await scene();
  node.publish('control-plane', [...both('192.0.2.1'), ...both('192.0.2.2')]);
  await clock.advance(8000);
  assert.equal(tallies.get('192.0.2.1')?.value, 14);
  node.withdraw('control-plane');
  node.publish('control-plane', both('192.0.2.2'));
  await clock.advance(500);
  assert.equal(tallies.get('192.0.2.1')?.value, 14);
  const last = node.status().find(({ spec }) => spec.kind === 'announcement')?.last;
  assert.deepEqual(last, { what: 'sent', at: 8500 });
});

test('the forms alternate for each VIP on its own', async () => {
  const { node, sent, clock } = await scene();
  // With one toggle for all, as in kube-vip v1.2.3, each of two VIPs would always get the same form.
  const vips = ['192.0.2.1', '192.0.2.2'];
  node.publish(
    'control-plane',
    vips.flatMap((vip) => both(vip)),
  );
  await clock.advance(2500);
  sent();
  await clock.advance(60_000);
  const lines = sent().map((line) => line.split(' '));
  for (const vip of vips) {
    const own = lines.filter((words) => words[4] === vip);
    assert.equal(own.length, 20);
    for (const [i, words] of own.entries()) {
      const before = own[i - 1];
      if (before === undefined) continue;
      assert.notEqual(words[3], before[3]);
      assert.ok(Math.abs(Number(words[0]) - Number(before[0]) - 3000) < 0.001, 'one period apart');
    }
  }
});

test('while new VIPs keep coming, all turns are theirs; the repeats follow when no more come', async () => {
  const { node, sent, clock } = await scene();
  for (let n = 1; n <= 30; n++) {
    node.publish(`service/test/s${n}`, both(`192.0.2.${n}`));
    assert.deepEqual(sent(), [
      arp(n * 10 - 10, 'reply', `192.0.2.${n}`),
      arp(n * 10 - 10, 'request', `192.0.2.${n}`),
    ]);
    await clock.advance(10);
  }
  assert.deepEqual(sent(), []);
  await clock.advance(39);
  assert.deepEqual(sent(), []);
  await clock.advance(1);
  // One turn makes up for all that was missed.
  const all = Array.from({ length: 30 }, (_, i) => `192.0.2.${i + 1}`);
  assert.deepEqual(
    sent().filter((line) => line.includes('reply')),
    all.map((vip) => arp(340, 'reply', vip)),
  );
});

test('of a crowd each VIP is heard in one form before any is heard in both', async () => {
  const { node, sent, clock } = await scene();
  const vips = Array.from({ length: 100 }, (_, n) => `192.0.2.${n + 1}`);
  node.publish(
    'control-plane',
    vips.flatMap((vip) => both(vip)),
  );
  const first = sent();
  assert.deepEqual(
    first.filter((line) => line.includes('reply')),
    vips.map((vip) => arp(0, 'reply', vip)),
  );
  // A few are no crowd.
  assert.equal(first.length, vips.length + 32);
  await clock.advance(50);
  assert.deepEqual(
    new Set(sent().filter((line) => line.includes('request'))),
    new Set(vips.map((vip) => arp(50, 'request', vip))),
  );
});

test('however many VIPs come, none waits more than three seconds to be announced again', async () => {
  const { node, sent, clock } = await scene();
  for (let n = 0; n < 400; n++) {
    node.publish(`service/test/s${n}`, both(`10.9.${n >> 8}.${n & 255}`));
    await clock.advance(10);
  }
  const first = sent().filter((line) => line.includes('reply 10.9.0.0 '));
  assert.deepEqual(first.slice(0, 2), [arp(0, 'reply', '10.9.0.0'), arp(3050, 'reply', '10.9.0.0')]);
});

test('a link that is back announces at once, whoever else has just come', async () => {
  const { node, sent, clock, kernel } = await scene();
  node.publish('control-plane', both('192.0.2.1'));
  kernel.setCarrier('eth0', false);
  await clock.flush();
  node.publish('service/test/other', both('192.0.2.2'));
  sent();
  kernel.setCarrier('eth0', true);
  await clock.advance(0);
  assert.deepEqual(
    sent().filter((line) => line.includes('reply')),
    [arp(0, 'reply', '192.0.2.1'), arp(0, 'reply', '192.0.2.2')],
  );
});

test('an IPv6 VIP is announced when detection is through, from the link-local address', async () => {
  const { node, sent, clock } = await scene();
  node.publish('control-plane', both('2001:db8::1'));
  await clock.advance(999);
  assert.deepEqual(sent(), []);
  assert.deepEqual(node.status()[1]?.state, { state: 'waiting', reason: 'the address is not usable yet' });
  await clock.advance(1);
  assert.deepEqual(sent(), ['1000 eth0 na 2001:db8::1 from fe80::ff:fe00:2']);
  assert.deepEqual(node.status()[1]?.state, { state: 'ready' });
});

test('without detection an IPv6 VIP is announced at once', async () => {
  const { node, sent } = await scene();
  node.publish('control-plane', [addressOf('2001:db8::1', { noDad: true }), announcementOf('2001:db8::1')]);
  assert.deepEqual(sent(), ['0 eth0 na 2001:db8::1 from fe80::ff:fe00:2']);
});

test('CP-115 ARP-03 a link-local IPv6 VIP is not announced, and the log says so once', async () => {
  const { node, sent, clock, logged } = await scene();
  node.publish('control-plane', both('fe80::1:1'));
  await clock.advance(120_000);
  assert.deepEqual(sent(), []);
  assert.deepEqual(
    logged.filter((line) => line.startsWith('error')),
    ['error VIP cannot be announced fe80::1:1'],
  );
  assert.equal(node.status()[1]?.state.state, 'failed');
});

test('a link without a link-local address delays the announcement and says so, until it has one', async () => {
  const { node, kernel, sent, clock, logged, news } = await scene((k) =>
    k.takeAddress('eth0', 'fe80::ff:fe00:2', 64),
  );
  const vips = ['2001:db8::1', '2001:db8::2'];
  const specs = vips.flatMap((vip) => [addressOf(vip, { noDad: true }), announcementOf(vip)]);
  node.publish('control-plane', specs);
  await clock.advance(3999);
  assert.deepEqual(warnings(logged), [], 'it may come in a moment');
  await clock.advance(56_001);
  assert.deepEqual(sent(), []);
  assert.deepEqual(node.status()[1]?.state, {
    state: 'waiting',
    reason: 'link eth0 has no link-local address',
  });
  const complaint = 'warn IPv6 VIPs cannot be announced, waiting for a link-local address 2001:db8::1';
  assert.deepEqual(warnings(logged), [complaint]);
  assert.deepEqual(
    news.filter((line) => line.includes('failed')),
    vips.map((vip) => `failed ${vip} eth0`),
  );
  kernel.putAddress('eth0', 'fe80::7', 64, { scope: 'link' });
  await clock.advance(1000);
  assert.deepEqual(
    sent(),
    vips.map((vip) => `61000 eth0 na ${vip} from fe80::7`),
  );
  assert.ok(logged.includes('info IPv6 VIPs are announced: their link has a link-local address'));
  node.withdraw('control-plane');
  kernel.takeAddress('eth0', 'fe80::7', 64);
  node.publish('control-plane', specs);
  await clock.advance(60_000);
  assert.deepEqual(warnings(logged), [complaint, complaint], 'each tenure says it anew');
});

test('a link-local address that another machine has, too, is named as the reason', async () => {
  const { node, kernel, clock, logged } = await scene((k) => {
    k.takeAddress('eth0', 'fe80::ff:fe00:2', 64);
    k.failDad('fe80::7');
    k.putAddress('eth0', 'fe80::7', 64, { scope: 'link' });
  });
  await clock.advance(1000);
  node.publish('control-plane', [addressOf('2001:db8::1', { noDad: true }), announcementOf('2001:db8::1')]);
  await clock.advance(5000);
  assert.deepEqual(node.status()[1]?.state, {
    state: 'waiting',
    reason: 'another machine has the link-local address fe80::7 of link eth0, too',
  });
  assert.equal(warnings(logged).length, 1);
  assert.match(kernel.showAddresses(), /dadfailed/);
});

function warnings(logged: readonly string[]): readonly string[] {
  return logged.filter((line) => line.startsWith('warn'));
}

test('after the specs are withdrawn no announcement leaves', async () => {
  const { node, sent, clock, kernel } = await scene();
  node.publish('control-plane', [...both('192.0.2.1'), ...both('2001:db8::1')]);
  await clock.advance(1500);
  sent();
  node.withdraw('control-plane');
  await clock.advance(600_000);
  assert.deepEqual(sent(), []);
  assert.equal(kernel.openHandles.packetSockets, 0);
});

test('a fence that no longer holds withholds every single frame, even in a burst, and is counted', async () => {
  const { node, sent, clock } = await scene();
  let holds = true;
  const fence = { holds: () => holds };
  node.publish('control-plane', both('192.0.2.1', fence));
  sent();
  holds = false;
  await clock.advance(8000);
  assert.deepEqual(sent(), []);
  assert.equal(node.counters().framesWithheld, 12);
  assert.deepEqual(node.status()[1]?.state, { state: 'waiting', reason: 'the lease is not held' });
  holds = true;
  node.publish('control-plane', both('192.0.2.1', fence));
  assert.equal(sent().length, 2, 'a new tenure begins with a burst at once');
});

test('a fence that falls between the two frames of one instant stops the second', async () => {
  const { node, sent } = await scene();
  let asked = 0;
  node.publish('control-plane', [
    addressOf('192.0.2.1'),
    announcementOf('192.0.2.1', { fence: { holds: () => asked++ === 0 } }),
  ]);
  assert.deepEqual(sent(), [arp(0, 'reply')]);
});

test('a preserved VIP stays silent: an address spec alone, without a fence', async () => {
  const { node, sent, clock, marked } = await scene();
  node.publish('control-plane', both('192.0.2.1', { holds: () => true }));
  await clock.advance(10_000);
  sent();
  node.publish('control-plane', [addressOf('192.0.2.1')]);
  await clock.advance(60_000);
  assert.deepEqual(sent(), []);
  assert.match(marked(), /192\.0\.2\.1/);
});

test('a VIP that is put back is announced with a new burst', async () => {
  const { node, kernel, sent, clock } = await scene();
  node.publish('control-plane', both('192.0.2.1'));
  await clock.advance(4000);
  sent();
  kernel.takeAddress('eth0', '192.0.2.1', 32);
  await clock.advance(60);
  assert.deepEqual(sent(), [
    arp(4000, 'reply'),
    arp(4000, 'request'),
    arp(4050, 'reply'),
    arp(4050, 'request'),
  ]);
});

test('a link that comes back, is made again or changes its MAC is told at once', async () => {
  const { node, kernel, sent, clock } = await scene();
  node.publish('control-plane', both('192.0.2.1'));
  await clock.advance(4000);
  sent();
  kernel.setCarrier('eth0', false);
  await clock.advance(4000);
  assert.deepEqual(sent(), []);
  assert.deepEqual(node.status()[1]?.state, { state: 'waiting', reason: 'link eth0 has no carrier' });
  kernel.setCarrier('eth0', true);
  await clock.flush();
  assert.deepEqual(sent(), [arp(8000, 'reply'), arp(8000, 'request')]);

  kernel.removeLink('eth0');
  await clock.flush();
  assert.deepEqual(sent(), []);
  kernel.addLink({ name: 'eth0', mac: '02:00:00:00:00:77' as Mac });
  await clock.flush();
  assert.deepEqual(sent(), [
    '8000 eth0 arp reply 192.0.2.1 is 02:00:00:00:00:77',
    '8000 eth0 arp request 192.0.2.1 is 02:00:00:00:00:77',
  ]);
});

test('a MAC that changes is announced with a burst, from a new socket', async () => {
  const { node, kernel, sent, clock } = await scene();
  node.publish('control-plane', both('192.0.2.1'));
  await clock.advance(4000);
  sent();
  kernel.setMac('eth0', '02:00:00:00:00:99' as Mac);
  await clock.flush();
  assert.deepEqual(sent(), [
    '4000 eth0 arp reply 192.0.2.1 is 02:00:00:00:00:99',
    '4000 eth0 arp request 192.0.2.1 is 02:00:00:00:00:99',
  ]);
});

test('a frame that cannot be sent is counted, told once, and sent at the next turn', async () => {
  const { node, kernel, sent, clock, logged, news, tallies } = await scene();
  kernel.failNext('send packet', errnoOf.ENOBUFS, 3);
  node.publish('control-plane', both('192.0.2.1'));
  assert.equal(node.status()[1]?.state.state, 'failed');
  await clock.advance(50);
  assert.deepEqual(sent(), [arp(50, 'request')]);
  assert.equal(node.counters().framesFailed, 3);
  assert.equal(news.filter((line) => line === 'failed 192.0.2.1 eth0').length, 3);
  assert.equal(tallies.get('192.0.2.1')?.value, 1);
  assert.deepEqual(node.status()[1]?.state, { state: 'ready' });
  assert.equal(logged.filter((line) => line.includes('could not be announced')).length, 1);
});

test('owners that share an announcement: the shorter period counts, and it ends with the last', async () => {
  const { node, sent, clock } = await scene();
  node.publish('service/default/a', both('192.0.2.1'));
  node.publish('service/default/b', [
    addressOf('192.0.2.1'),
    announcementOf('192.0.2.1', { periodMs: 1000 }),
  ]);
  assert.equal(sent().length, 2, 'the second owner starts no second burst');
  await clock.advance(10_000);
  node.withdraw('service/default/b');
  await clock.advance(10_000);
  assert.ok(sent().length > 10);
  // The address stays.
  node.publish('service/default/c', [addressOf('192.0.2.1')]);
  node.withdraw('service/default/a');
  await clock.advance(10_000);
  assert.deepEqual(sent(), []);
});

test('CP-114 ARP-08 on an InfiniBand link the ARP has hardware type 32 and 20-byte addresses', async () => {
  const own = '80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:10:00:01' as Mac;
  const broadcast = '00:ff:ff:ff:ff:12:40:1b:ff:ff:00:00:00:00:00:00:ff:ff:ff:ff' as Mac;
  const { node, kernel } = await scene((k) => {
    k.addLink({ name: 'ib0', hardwareType: 32, mac: own, broadcast });
    k.putAddress('ib0', 'fe80::1', 64, { noDad: true });
  });
  node.publish('control-plane', [
    addressOf('192.0.2.1', { link: 'ib0' }),
    announcementOf('192.0.2.1', { link: 'ib0' }),
    addressOf('2001:db8::1', { link: 'ib0', noDad: true }),
    announcementOf('2001:db8::1', { link: 'ib0' }),
  ]);
  const [reply, request, advertisement] = kernel.frames.map(({ frame }) => frame);
  assert.ok(reply !== undefined && request !== undefined && advertisement !== undefined);
  for (const [frame, operation, targetMac] of [
    [reply, 2, own],
    [request, 1, broadcast],
  ] as const) {
    const { header, packet } = decodeArpFrame(frame, 32);
    assert.equal(header.destination, broadcast);
    assert.deepEqual(packet, {
      hardwareType: 32,
      operation,
      senderMac: own,
      senderIp: '192.0.2.1',
      targetMac,
      targetIp: '192.0.2.1',
    });
  }
  const { message } = decodeNdpFrame(advertisement, 32);
  assert.equal(message.kind === 'advertisement' && message.targetMac, own);
});

test('ten thousand VIPs: each announced at once, in turns that end, and refreshed spread out', async () => {
  const { node, kernel, clock } = await scene();
  const vips = Array.from({ length: 10_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  node.publish(
    'control-plane',
    vips.flatMap((vip) => both(vip)),
  );
  assert.ok(kernel.frames.length > 0 && kernel.frames.length < 1000, 'some at once, the rest in later turns');
  node.sweep();
  await clock.advance(2000);
  assert.equal(node.counters().swept, 0, 'what waits for its turn is no leftover');
  const first = new Map<string, number>();
  for (const { at, frame } of kernel.frames) {
    const { senderIp } = decodeArpFrame(frame, 1).packet;
    if (!first.has(senderIp)) first.set(senderIp, at);
  }
  assert.equal(first.size, 10_000);
  assert.equal(Math.max(...first.values()), 0, 'no turn waits for time to pass');
  const before = kernel.frames.length;
  await clock.advance(3000);
  const refreshes = kernel.frames.slice(before).map(({ at }) => at);
  assert.equal(refreshes.length, 10_000);
  const perTenth = new Map<number, number>();
  for (const at of refreshes) {
    const slot = Math.floor(at / 100);
    perTenth.set(slot, (perTenth.get(slot) ?? 0) + 1);
  }
  assert.ok(Math.max(...perTenth.values()) < 1000, 'no tenth of a second has more than a tenth of them');
  assert.ok(node.isPresent(ip('10.0.0.1')));
});

test('a thousand VIPs are refreshed with a handful of awakenings, each once in its period', async () => {
  const { node, kernel, clock } = await scene();
  const vips = Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  node.publish(
    'control-plane',
    vips.flatMap((vip) => both(vip)),
  );
  await clock.advance(6000);
  let awakenings = 0;
  const after = clock.after.bind(clock);
  clock.after = (name, ms, callback) => {
    if (name === 'announce') awakenings++;
    return after(name, ms, callback);
  };
  const before = kernel.frames.length;
  await clock.advance(6000);
  assert.equal(kernel.frames.length - before, 2000);
  assert.ok(awakenings <= 14, `${awakenings} in two periods`);
  for (let ms = 0; ms < 3000; ms += 100) {
    await clock.advance(100);
    const future = node.status().filter(({ last }) => (last?.at ?? 0) > clock.now());
    assert.equal(future.length, 0, 'what leaves early has left when it did, not when it was due');
  }
});
