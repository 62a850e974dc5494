import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ip, ipToBytes, type Ip, type Mac } from '../../../src/lib/ip.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { arpFilter, ndpFilter, rangesOf } from '../../../src/node/claimants/filter.ts';
import {
  encodeArpFrame,
  encodeGratuitousArp,
  encodeUnsolicitedAdvertisement,
} from '../../../src/protocols/index.ts';
import { runBpf } from '../../../src/testing/fake-kernel/bpf.ts';
import vectors from '../../vectors/ndp/neighbour.json' with { type: 'json' };
import { fromHex } from '../protocols/hex.ts';
import { both, macOf, scene, type Scene } from './scene.ts';

const broadcast = 'ff:ff:ff:ff:ff:ff' as Mac;
const other = (last: number): { hardwareType: 1; mac: Mac; broadcast: Mac } => ({
  hardwareType: 1,
  mac: macOf(last),
  broadcast,
});
const claim4 = (vip: string, last = 1): Uint8Array => encodeGratuitousArp(other(last), ip(vip), 'reply');
const claim6 = (vip: string, last = 1): Uint8Array =>
  encodeUnsolicitedAdvertisement(other(last), ip('fe80::99'), ip(vip));
const probe6 = (): Uint8Array => fromHex(vectors[2]?.hex ?? '');

async function holder(...vips: string[]): Promise<Scene> {
  const made = await scene();
  made.node.publish(
    'control-plane',
    vips.flatMap((vip) => both(vip)),
  );
  await made.clock.advance(1100);
  made.news.length = 0;
  return made;
}

test('ARP and advertisements for our VIP from another MAC are second claimants', async () => {
  const { kernel, clock, news, logged, node } = await holder('192.0.2.1', '2001:db8::10');
  kernel.deliver('eth0', claim4('192.0.2.1'));
  kernel.deliver('eth0', claim6('2001:db8::10', 2));
  await clock.flush();
  assert.deepEqual(news, [`claimant 192.0.2.1 eth0 ${macOf(1)}`, `claimant 2001:db8::10 eth0 ${macOf(2)}`]);
  assert.deepEqual(
    logged.filter((line) => line.startsWith('error')),
    [
      'error another host claims a VIP that this node holds 192.0.2.1',
      'error another host claims a VIP that this node holds 2001:db8::10',
    ],
  );
  assert.equal(node.counters().claimantsReported, 2);
});

test('somebody who asks whether our VIP is free is about to claim it', async () => {
  const { kernel, clock, news } = await holder('2001:db8::10');
  kernel.deliver('eth0', probe6());
  await clock.flush();
  assert.deepEqual(news, ['claimant 2001:db8::10 eth0 02:00:5e:10:00:01']);
});

test('somebody listens before the VIP is on its link, and hears a claim of the first moment', async () => {
  const { kernel, clock, news, node } = await scene();
  const order: string[] = [];
  const open = kernel.openPacketSocket.bind(kernel);
  kernel.openPacketSocket = (options) => {
    if (options.onFrame !== undefined) order.push(`listen ${options.etherType.toString(16)}`);
    return open(options);
  };
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    order.push(...requests.map(({ address }) => `set ${address}`));
    return set(requests);
  };
  node.publish('control-plane', both('192.0.2.1'));
  kernel.deliver('eth0', claim4('192.0.2.1'));
  await clock.flush();
  node.publish('service/default/a', both('192.0.2.9'));
  kernel.deliver('eth0', claim4('192.0.2.9'));
  await clock.flush();
  assert.deepEqual(order, ['listen 806', 'set 192.0.2.1', 'set 192.0.2.9']);
  assert.deepEqual(
    news.filter((line) => line.startsWith('claimant')),
    [`claimant 192.0.2.1 eth0 ${macOf(1)}`, `claimant 192.0.2.9 eth0 ${macOf(1)}`],
  );
});

test('nobody listens any more for a VIP that was withdrawn before it could be announced', async () => {
  const { kernel, clock, node } = await scene();
  let listening = 0;
  const open = kernel.openPacketSocket.bind(kernel);
  kernel.openPacketSocket = (options) => {
    const socket = open(options);
    if (options.onFrame === undefined) return socket;
    listening++;
    const close = socket.close.bind(socket);
    socket.close = () => {
      listening--;
      close();
    };
    return socket;
  };
  // Duplicate address detection takes a second.
  node.publish('control-plane', both('2001:db8::10'));
  assert.equal(listening, 1);
  node.withdraw('control-plane');
  await clock.advance(100);
  assert.equal(listening, 0);
});

test('an ARP request with our VIP as its sender is a claim too', async () => {
  const { kernel, clock, news } = await holder('192.0.2.1');
  const frame = encodeArpFrame(other(3), broadcast, {
    hardwareType: 1,
    operation: 1,
    senderMac: macOf(3),
    senderIp: ip('192.0.2.1'),
    targetMac: '00:00:00:00:00:00' as Mac,
    targetIp: ip('192.0.2.254'),
  });
  kernel.deliver('eth0', frame);
  await clock.flush();
  assert.equal(news.length, 1);
});

test('our own frames, other addresses and VIPs that we do not hold are none', async () => {
  const { kernel, clock, news, node } = await holder('192.0.2.1', '2001:db8::10');
  const eth0 = kernel.link('eth0');
  const own = { hardwareType: 1 as const, mac: eth0.mac, broadcast };
  kernel.deliver('eth0', encodeGratuitousArp(own, ip('192.0.2.1'), 'request'));
  kernel.deliver('eth0', claim4('192.0.2.2'));
  kernel.deliver('eth0', claim6('2001:db8::11'));
  // The same last 32 bits pass the kernel's filter; the comparison does not.
  kernel.deliver('eth0', claim6('2001:db8:1::10'));
  await clock.flush();
  assert.deepEqual(news, []);
  node.withdraw('control-plane');
  kernel.deliver('eth0', claim4('192.0.2.1'));
  kernel.deliver('eth0', claim6('2001:db8::10'));
  await clock.flush();
  assert.deepEqual(news, []);
});

test('a flood is folded: one report a second for each VIP, whatever the MACs', async () => {
  const { kernel, clock, news, logged, node } = await holder('192.0.2.1');
  for (let i = 0; i < 100; i++) kernel.deliver('eth0', claim4('192.0.2.1', i));
  await clock.flush();
  assert.equal(news.length, 1);
  assert.equal(node.counters().claimantsFolded, 99);
  await clock.advance(1000);
  kernel.deliver('eth0', claim4('192.0.2.1', 0));
  await clock.flush();
  assert.equal(news.length, 2);
  assert.equal(
    logged.filter((line) => line.startsWith('error')).length,
    1,
    'the same MAC is not logged again',
  );
  await clock.advance(1000);
  kernel.deliver('eth0', claim4('192.0.2.1', 7));
  await clock.flush();
  assert.equal(logged.filter((line) => line.startsWith('error')).length, 2);
});

test('a frame that does not parse is counted and dropped', async () => {
  const { kernel, clock, news, node } = await holder('192.0.2.1');
  const frame = claim4('192.0.2.1');
  frame[18] = 7;
  kernel.deliver('eth0', frame);
  await clock.flush();
  assert.deepEqual(news, []);
  assert.equal(node.counters().framesRefused, 1);
});

test('without the right to listen the VIP is announced all the same', async () => {
  const { kernel, clock, node, sent, logged } = await scene();
  const open = kernel.openPacketSocket.bind(kernel);
  kernel.openPacketSocket = (options) => {
    if (options.onFrame !== undefined) kernel.failNext('open packet socket', errnoOf.EPERM);
    return open(options);
  };
  node.publish('control-plane', both('192.0.2.1'));
  await clock.advance(1000);
  assert.ok(sent().length >= 8);
  assert.equal(logged.filter((line) => line.includes('cannot listen')).length, 1);
});

const arpOf = (senderIp: Ip, targetIp = senderIp): Uint8Array =>
  encodeArpFrame(other(1), broadcast, {
    hardwareType: 1,
    operation: 1,
    senderMac: macOf(1),
    senderIp,
    targetMac: broadcast,
    targetIp,
  });

const wordOf = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4).getUint32(0);
const wordsOf = (vips: readonly Ip[]): Uint32Array => Uint32Array.from(vips, (vip) => wordOf(ipToBytes(vip)));

for (const count of [1, 2, 119, 120]) {
  test(`the filters let exactly the claims of ${count} VIPs through, however far apart`, () => {
    const vips4 = Array.from({ length: count }, (_, i) => ip(`10.1.${i}.${2 * i}`));
    const vips6 = Array.from({ length: count }, (_, i) => ip(`2001:db8::1:${(2 * i + 1).toString(16)}`));
    const arp = arpFilter(1, rangesOf(wordsOf(vips4)));
    const ndp = ndpFilter(1, rangesOf(wordsOf(vips6)));
    for (const [code, jt, jf] of [...arp, ...ndp]) assert.ok(code >= 0 && jt < 256 && jf < 256);
    const passes6 = (vip: Ip): boolean =>
      runBpf(ndp, encodeUnsolicitedAdvertisement(other(1), ip('fe80::9'), vip)) !== 0;
    for (const vip of vips4) assert.notEqual(runBpf(arp, arpOf(vip)), 0, vip);
    for (const vip of vips6) assert.ok(passes6(vip), vip);
    for (let i = 0; i <= count; i++) {
      assert.equal(runBpf(arp, arpOf(ip(`10.1.${i}.${2 * i + 1}`))), 0);
      assert.ok(!passes6(ip(`2001:db8::1:${(2 * i).toString(16)}`)));
    }
    assert.equal(
      runBpf(arp, arpOf(ip('10.2.0.1'), ip('10.1.0.0'))),
      0,
      'who asks for a VIP does not claim it',
    );
  });
}

test('the ranges of a filter cover every VIP, and nothing more while they are few', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 400 }), (numbers) => {
      const ranges = rangesOf(Uint32Array.from(numbers));
      assert.ok(ranges.length <= 120);
      const covers = (word: number): boolean => ranges.some(([first, last]) => first <= word && word <= last);
      assert.ok(numbers.every(covers));
      for (const [i, [first, last]] of ranges.entries()) {
        assert.ok(first <= last && first > (ranges[i - 1]?.[1] ?? -2) + 1);
        assert.ok(numbers.includes(first) && numbers.includes(last));
      }
      const size = ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
      if (new Set(numbers).size <= 120) assert.equal(size, new Set(numbers).size);
    }),
  );
});

test('of too many ranges those that are nearest to each other become one', () => {
  // 200 VIPs, every second one close behind the one before.
  const words = Array.from({ length: 200 }, (_, i) => (i >> 1) * 1000 + (i & 1) * 10);
  const ranges = rangesOf(Uint32Array.from(words.toReversed()));
  assert.equal(ranges.length, 120);
  assert.equal(ranges.filter(([first, last]) => last - first === 10).length, 80);
  assert.equal(ranges.filter(([first, last]) => first === last).length, 40);
});

test('ten thousand VIPs in one row are one range, and one more changes a filter, not the socket', async () => {
  const { kernel, clock, news, node } = await holder('192.0.2.1', '192.0.2.2');
  let opened = 0;
  const open = kernel.openPacketSocket.bind(kernel);
  kernel.openPacketSocket = (options) => {
    opened++;
    return open(options);
  };
  node.publish('service/default/a', both('192.0.2.9'));
  await clock.advance(100);
  assert.equal(opened, 0);
  kernel.deliver('eth0', claim4('192.0.2.9'));
  await clock.flush();
  assert.deepEqual(news.slice(-1), [`claimant 192.0.2.9 eth0 ${macOf(1)}`]);
  assert.deepEqual(rangesOf(Uint32Array.from({ length: 10_000 }, (_, i) => i)), [[0, 9999]]);
});

test('of solicitations only duplicate address probes pass, of IPv6 only ICMPv6', () => {
  const filter = ndpFilter(1, [[0x10, 0x10]]);
  const probe = probe6();
  assert.notEqual(runBpf(filter, probe), 0);
  for (const at of [22, 29, 33, 37]) {
    const named = probe.slice();
    named[at] = 1;
    assert.equal(runBpf(filter, named), 0, `source byte ${at}`);
  }
  const udp = probe.slice();
  udp[20] = 17;
  assert.equal(runBpf(filter, udp), 0);
  assert.equal(runBpf(filter, probe.subarray(0, 40)), 0, 'too short');
});
