import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Capture,
  captureRefusal,
  HolderWatch,
  Lab,
  Prober,
  ensurePrivilege,
  startResponder,
} from '../../../lab/index.ts';
import type { Machine } from '../../../lab/index.ts';

const refused = ensurePrivilege();

describe('lab measurements', { skip: refused?.because ?? false }, () => {
  let lab: Lab;

  const hold = (node: Machine, vip: string): Promise<void> =>
    node.ip(`addr add ${vip}/32 dev eth0 preferred_lft 0`);
  const take = async (node: Machine, vip: string): Promise<void> => {
    await hold(node, vip);
    await node.run('arping', ['-q', '-c', '1', '-i', 'eth0', '-U', '-S', vip, vip]).catch(() => undefined);
  };

  before(async () => {
    lab = await Lab.start({ controlPlanes: 2 });
    await Promise.all(lab.nodes.map((node) => startResponder(node)));
  });
  after(async () => {
    await lab.stop();
  });

  it('sends a thousand probes a second and finds a gap of known length and both answerers', async () => {
    const [a, b, vip] = [lab.node(0), lab.node(1), lab.plan.vip(0)];
    await take(a, vip);
    const prober = await Prober.start(lab.client, vip);
    const watch = await HolderWatch.start(lab, vip);
    assert.equal(await prober.answering(), 'cp1');
    await sleep(300);
    const goneAt = Date.now();
    await a.deleteAddress(vip);
    await sleep(200);
    await take(b, vip);
    const backAt = Date.now();
    assert.equal(await prober.answering(), 'cp2');
    await sleep(300);
    const report = await prober.stop();
    const holders = await watch.stop();

    assert.deepEqual([...new Set(report.answers.map((each) => each.by))], ['cp1', 'cp2']);
    assert.ok(report.probesPerSecond >= 1000, `${report.probesPerSecond} probes/s`);
    const [gap, ...others] = report.gaps.filter((each) => each.to - each.from > 50);
    assert.ok(gap !== undefined && others.length === 0, JSON.stringify(report.gaps));
    assert.ok(gap.from >= goneAt - 2 && gap.to <= backAt + 60, JSON.stringify({ gap, goneAt, backAt }));
    assert.ok(gap.to - gap.from > 190 && gap.to - gap.from < 400, JSON.stringify(gap));

    assert.deepEqual(
      holders.segments.map((segment) => segment.holders),
      [['cp1'], [], ['cp2']],
    );
    assert.equal(holders.twoHoldersMs, 0);
    const [, without] = holders.segments;
    assert.ok(without !== undefined && gap.to >= without.to - 2, JSON.stringify({ gap, without }));
    assert.ok(Math.abs(without.from - gap.from) < 20, JSON.stringify({ gap, without }));
  });

  it('measures how long two nodes hold an address, and leaves out nodes without power', async () => {
    const [a, b, vip] = [lab.node(0), lab.node(1), lab.plan.vip(1)];
    const watch = await HolderWatch.start(lab, vip);
    await hold(a, vip);
    const beganAt = Date.now();
    await hold(b, vip);
    const bothSince = Date.now();
    await sleep(150);
    const bothUntil = Date.now();
    await a.deleteAddress(vip);
    const endedAt = Date.now();
    await watch.flush();
    const both = watch.report();
    assert.ok(both.twoHoldersMs >= bothUntil - bothSince - 1, String(both.twoHoldersMs));
    // On a busy machine the end is heard of later than it was.
    assert.ok(both.twoHoldersMs <= endedAt - beganAt + 250, String(both.twoHoldersMs));
    await b.powerOff();
    await hold(a, vip);
    await sleep(100);
    await b.powerOn();
    assert.equal((await watch.stop()).twoHoldersMs, both.twoHoldersMs);
  });

  it('does not count a tentative IPv6 address as held', async () => {
    const vip6 = lab.plan.vip6(0);
    const watch = await HolderWatch.start(lab, vip6);
    await lab.node(0).ip(`addr add ${vip6}/128 dev eth0`);
    const addedAt = Date.now();
    await sleep(2_500);
    const { segments } = await watch.stop();
    assert.deepEqual(
      segments.map((segment) => segment.holders),
      [[], ['cp1']],
    );
    assert.ok((segments[1]?.from ?? 0) - addedAt > 500, 'duplicate address detection takes its second');
  });

  it('captures ARP and neighbour discovery and reads them', { skip: captureRefusal() ?? false }, async () => {
    const capture = await Capture.start(lab.client, 'arp or icmp6');
    await lab.node(1).run('ip', ['neigh', 'flush', 'dev', 'eth0']);
    assert.ok(await lab.node(1).ping(lab.client.ipv4));
    assert.ok(await lab.node(1).ping(lab.client.ipv6));
    const frames = await capture.stop();
    const request = frames.find(
      (frame) => frame.kind === 'arp' && frame.operation === 1 && frame.source === lab.node(1).mac,
    );
    assert.ok(request?.kind === 'arp');
    assert.deepEqual(
      [request.senderMac, request.senderIp, request.targetIp],
      [lab.node(1).mac, lab.node(1).ipv4, lab.client.ipv4],
    );
    const advertisement = frames.find((frame) => frame.kind === 'na' && frame.source === lab.client.mac);
    assert.ok(advertisement?.kind === 'na');
    assert.deepEqual(
      [advertisement.target, advertisement.flags, advertisement.linkAddress, advertisement.hopLimit],
      [lab.client.ipv6, 'SO', lab.client.mac, 255],
    );
  });
});
