import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Capture, ensurePrivilege, waitFor } from '../../../lab/index.ts';
import type { ArpFrame, Frame, NeighbourFrame } from '../../../lab/index.ts';
import { ip, type Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { openKernel, systemClock, type Kernel } from '../../../src/linux/index.ts';
import { createNode } from '../../../src/node/index.ts';
import { kernelIn } from './kernel-in.ts';
import { holding, owners, percentile, setStage, wallNow, type Stage } from './stage.ts';

const refused = ensurePrivilege();

describe('announcements on the wire', { skip: refused?.because ?? false }, () => {
  let stage: Stage;
  const vips = [ip('10.77.0.100'), ip('10.77.0.101')] as const;
  const vip6 = ip('fd00:77::100');

  before(async () => {
    stage = await setStage();
  });
  after(async () => {
    await stage.stop();
  });
  afterEach(() => {
    for (const owner of owners) stage.node().withdraw(owner);
  });

  const arpOf = (frames: readonly Frame[], vip: Ip): readonly ArpFrame[] =>
    frames.filter((frame): frame is ArpFrame => frame.kind === 'arp' && frame.senderIp === vip);
  const naOf = (frames: readonly Frame[], vip: Ip): readonly NeighbourFrame[] =>
    frames.filter((frame): frame is NeighbourFrame => frame.kind === 'na' && frame.target === vip);

  it('CP-110 every period a gratuitous ARP from the interface MAC, reply and request in turn for each VIP', async () => {
    const periodMs = 500;
    const capture = await Capture.start(stage.lab.client, 'arp');
    stage.node().publish('control-plane', holding(vips, { periodMs }));
    // Both forms leave together until the burst is over. A machine that is busy makes up for several of its instants at once.
    const burstOf = (own: readonly ArpFrame[]): number =>
      2 + own.findLastIndex(({ at }, i) => (own[i + 1]?.at ?? Infinity) - at < periodMs / 10);
    const hasSeenAll = (vip: Ip): boolean => {
      const own = arpOf(capture.frames(), vip);
      const isOver = (own.at(-1)?.at ?? NaN) - (own[0]?.at ?? NaN) > 2000;
      return isOver && own.length - burstOf(own) >= 5;
    };
    await waitFor(() => vips.every(hasSeenAll), { what: 'five refreshes of each' });
    stage.node().withdraw('control-plane');
    const frames = await capture.stop();
    const { mac } = stage.machine;
    for (const vip of vips) {
      const own = arpOf(frames, vip);
      for (const frame of own) {
        assert.equal(frame.source, mac);
        assert.equal(frame.senderMac, mac);
        assert.equal(frame.destination, 'ff:ff:ff:ff:ff:ff');
        assert.equal(frame.targetIp, vip);
        assert.equal(frame.targetMac, frame.operation === 2 ? mac : 'ff:ff:ff:ff:ff:ff');
      }
      const burst = own.slice(0, burstOf(own)).map(({ operation }) => operation);
      assert.ok(burst.length >= 4 && burst.length <= 12, `${burst.length} frames of a burst`);
      assert.deepEqual(
        burst,
        burst.map((_, i) => (i % 2 === 0 ? 2 : 1)),
        'a burst in both forms',
      );
      const refreshes = own.slice(burst.length);
      for (const [i, frame] of refreshes.entries()) {
        const previous = refreshes[i - 1];
        if (previous === undefined) continue;
        assert.notEqual(frame.operation, previous.operation);
      }
      const span = (refreshes.at(-1)?.at ?? NaN) - (refreshes[0]?.at ?? NaN);
      const apart = span / (refreshes.length - 1);
      assert.ok(apart > periodMs / 2 && apart < periodMs * 2, `${apart} ms apart`);
    }
  });

  it('CP-113 ARP-03 an IPv6 VIP is announced by unsolicited advertisements as they should be', async () => {
    const capture = await Capture.start(stage.lab.client, 'icmp6');
    stage.node().publish('control-plane', holding([vip6]));
    await waitFor(() => naOf(capture.frames(), vip6).length >= 2, { what: 'two advertisements' });
    stage.node().withdraw('control-plane');
    const [first] = naOf(await capture.stop(), vip6);
    assert.ok(first !== undefined);
    const linkLocal = (await stage.machine.addresses()).find(({ scope }) => scope === 'link')?.local;
    assert.deepEqual(
      [first.sourceIp, first.destinationIp, first.hopLimit, first.flags, first.linkAddress],
      [linkLocal, 'ff02::1', 255, 'O', stage.machine.mac],
    );
    assert.equal(first.source, stage.machine.mac);
    assert.equal(first.destination, '33:33:00:00:00:01');
  });

  it('a link without a link-local address: an IPv6 VIP waits, and is announced when the link has one', async () => {
    const { machine } = stage;
    await machine.run('ip', ['link', 'set', 'eth0', 'addrgenmode', 'none']);
    await machine.run('ip', ['-6', 'address', 'flush', 'dev', 'eth0', 'scope', 'link']);
    const capture = await Capture.start(stage.lab.client, 'icmp6');
    try {
      stage.node().publish('control-plane', holding([vip6]));
      const reason = 'link eth0 has no link-local address';
      const stateOf = (): unknown =>
        stage
          .node()
          .status()
          .find(({ spec }) => spec.kind === 'announcement')?.state;
      await waitFor(() => isDeepStrictEqual(stateOf(), { state: 'waiting', reason }), { what: reason });
      await machine.run('sysctl', ['-qw', 'net/ipv6/conf/eth0/addr_gen_mode=0']);
      await waitFor(() => naOf(capture.frames(), vip6).length > 0, { what: 'an advertisement' });
      assert.deepEqual(stateOf(), { state: 'ready' });
    } finally {
      stage.node().withdraw('control-plane');
      await machine.run('ip', ['link', 'set', 'eth0', 'addrgenmode', 'eui64']);
      await capture.stop();
    }
  });

  it('the first announcement is on the wire as soon as the VIP is published', async () => {
    const capture = await Capture.start(stage.lab.client, 'arp or icmp6');
    const delays4: number[] = [];
    const delays6: number[] = [];
    for (let i = 0; i < 40; i++) {
      const vip = ip(`10.77.0.${150 + i}`);
      const own6 = ip(`fd00:77::${150 + i}`);
      const at = wallNow();
      stage.node().publish('service/default/a', holding([vip], { noDad: true }));
      const at6 = wallNow();
      stage.node().publish('service/default/b', holding([own6], { noDad: true }));
      const heard = (): readonly (Frame | undefined)[] => {
        const frames = capture.frames();
        return [arpOf(frames, vip)[0], naOf(frames, own6)[0]];
      };
      await waitFor(() => !heard().includes(undefined), { what: 'both to be heard', everyMs: 10 });
      const [first4, first6] = heard();
      delays4.push((first4?.at ?? NaN) - at);
      delays6.push((first6?.at ?? NaN) - at6);
    }
    stage.node().withdraw('service/default/a');
    stage.node().withdraw('service/default/b');
    await capture.stop();
    for (const [family, delays] of [
      ['IPv4', delays4],
      ['IPv6', delays6],
    ] as const) {
      const [p50, p99] = [percentile(delays, 50), percentile(delays, 99)];
      console.log(
        `# publish → first frame, ${family}, ${delays.length} runs: p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} ms`,
      );
    }
  });

  it('CP-116 once leadership is lost nothing is announced any more, though the address may be preserved', async () => {
    const capture = await Capture.start(stage.lab.client, 'arp or icmp6');
    const specs = holding([vips[0], vip6], { noDad: true, periodMs: 500 });
    for (const kept of [specs.filter(({ kind }) => kind === 'address'), []]) {
      stage.node().publish('control-plane', specs);
      const from = wallNow();
      await waitFor(() => naOf(capture.frames(), vip6).filter(({ at }) => at > from - 1).length > 1, {
        what: 'announcements',
      });
      const at = wallNow();
      stage.node().publish('control-plane', kept);
      await sleep(2500);
      const frames = capture.frames();
      const late = [...arpOf(frames, vips[0]), ...naOf(frames, vip6)].filter((frame) => frame.at > at + 1);
      assert.deepEqual(late, []);
    }
    await capture.stop();
  });

  it('CP-117 peers with a stale neighbour entry follow a VIP that moves, in both families', async () => {
    const { lab, node } = stage;
    const other = lab.node(1);
    const clock = systemClock();
    const kernel = kernelIn(other.namespace, () => openKernel({ clock }));
    const second = createNode({ kernel, clock, log: silentLogger });
    await second.start();
    const neighbour = async (vip: Ip): Promise<string> =>
      lab.client.run('ip', ['neigh', 'show', 'to', vip, 'dev', 'eth0']);
    try {
      for (const vip of [vips[0], vip6]) {
        const specs = holding([vip], { noDad: true });
        node().publish('control-plane', specs);
        assert.ok(await lab.client.ping(vip));
        assert.ok((await neighbour(vip)).includes(stage.machine.mac));
        node().withdraw('control-plane');
        // The move without the announcement: traffic goes to where the VIP was.
        second.publish(
          'control-plane',
          specs.filter(({ kind }) => kind === 'address'),
        );
        assert.equal(await lab.client.ping(vip), false, 'the entry is stale');
        const movedAt = performance.now();
        second.publish('control-plane', specs);
        await waitFor(async () => (await neighbour(vip)).includes(other.mac), {
          what: 'the entry to follow',
        });
        assert.ok(await lab.client.ping(vip));
        console.log(`# ${vip}: traffic follows after ${(performance.now() - movedAt).toFixed(1)} ms`);
        second.withdraw('control-plane');
      }
    } finally {
      second.close();
    }
  });

  it('a host that claims a VIP of ours is seen: by ARP, by advertisement, by detection before it takes one', async () => {
    const other = stage.lab.node(1);
    const second6 = ip('fd00:77::101');
    stage
      .node()
      .publish('control-plane', holding([vips[0], vip6, second6], { noDad: true, periodMs: 60_000 }));
    // Our own burst would end the other host's detection before it has asked anybody.
    await sleep(2200);
    stage.news.length = 0;
    await other.run('arping', ['-i', 'eth0', '-U', '-c', '1', '-S', vips[0], vips[0]]).catch(() => undefined);
    await waitFor(() => stage.news.includes(`claimant ${vips[0]} ${other.mac}`), {
      what: 'the ARP claimant',
    });
    const settings = '/proc/sys/net/ipv6/conf/eth0';
    await other.run('sh', ['-c', `echo 1 > ${settings}/ndisc_notify; echo 0 > ${settings}/accept_dad`]);
    await other.ip(`addr add ${vip6}/128 dev eth0`);
    await waitFor(() => stage.news.includes(`claimant ${vip6} ${other.mac}`), { what: 'the advertisement' });
    await other.run('sh', ['-c', `echo 0 > ${settings}/ndisc_notify; echo 1 > ${settings}/accept_dad`]);
    await other.ip(`addr add ${second6}/128 dev eth0`);
    await waitFor(() => stage.news.includes(`claimant ${second6} ${other.mac}`), { what: 'the probe' });
    await other.ip(`addr del ${vip6}/128 dev eth0`, `addr del ${second6}/128 dev eth0`);
  });

  it('traffic that claims nothing does not wake us', async () => {
    const { kernel, lab, machine } = stage;
    const heard: Uint8Array[] = [];
    const spying: Kernel = Object.create(kernel, {
      openPacketSocket: {
        value: (options: Parameters<Kernel['openPacketSocket']>[0]) =>
          kernel.openPacketSocket({
            ...options,
            ...(options.onFrame === undefined ? {} : { onFrame: (frame: Uint8Array) => heard.push(frame) }),
          }),
      },
    }) as Kernel;
    const node = createNode({ kernel: spying, clock: systemClock(), log: silentLogger });
    await node.start();
    node.publish('control-plane', holding([vips[0], vip6], { noDad: true }));
    await sleep(200);
    for (const target of [machine.ipv4, machine.ipv6, vips[0], vip6]) {
      await lab.client.ip('neigh flush all');
      assert.ok(await lab.client.ping(target, 20));
    }
    await lab.client
      .run('arping', ['-i', 'eth0', '-U', '-c', '3', '-w', '1', '-S', '10.77.0.2', '10.77.0.2'])
      .catch(() => undefined);
    assert.deepEqual(
      heard.map((frame) => Buffer.from(frame).toString('hex')),
      [],
    );
    const other = lab.node(1);
    await other.run('arping', ['-i', 'eth0', '-U', '-c', '1', '-S', vips[0], vips[0]]).catch(() => undefined);
    await waitFor(() => heard.length > 0, { what: 'the one frame that matters' });
    node.withdraw('control-plane');
    node.close();
  });
});
