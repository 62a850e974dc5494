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
  waitFor,
} from '../../../lab/index.ts';
import type { Frame, Machine } from '../../../lab/index.ts';

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

  it('sends a thousand probes a second and finds a gap of known length and both answerers', async (t) => {
    const [a, b, vip] = [lab.node(0), lab.node(1), lab.plan.vip(0)];
    await take(a, vip);
    // Late is not lost: what a busy machine does to an answer is no gap.
    const prober = await Prober.start(lab.client, vip, { lateMs: 1000 });
    const watch = await HolderWatch.start(lab, vip);
    assert.equal(await prober.answering(), 'cp1');
    const goneAt = Date.now();
    await a.deleteAddress(vip);
    await watch.flush();
    // So many that are lost, however seldom the prober runs: 0.24 s of its time.
    const { sent } = prober.live;
    await waitFor(() => prober.live.sent >= sent + 300, { what: 'probes that nobody answers' });
    const takenAt = Date.now();
    await take(b, vip);
    await waitFor(async () => (await prober.answering()) === 'cp2', { what: 'an answer from the other' });
    const backAt = Date.now();
    const report = await prober.stop();
    const holders = await watch.stop();

    assert.deepEqual([...new Set(report.answers.map((each) => each.by))], ['cp1', 'cp2']);
    assert.ok(report.probesPerSecond >= 1000, `${report.probesPerSecond} probes/s`);
    assert.deepEqual(
      holders.segments.map((segment) => segment.holders),
      [['cp1'], [], ['cp2']],
    );
    assert.equal(holders.twoHoldersMs, 0);

    const [, without] = holders.segments;
    assert.ok(without !== undefined && without.to - without.from > 190, JSON.stringify(without));
    const gap = report.gaps.find(({ from, to }) => from < takenAt && to >= takenAt - 2);
    const { longestStallMs } = report;
    const said = JSON.stringify({ gaps: report.gaps, goneAt, takenAt, backAt, longestStallMs });
    // From when the address went to when the other answered; a responder that stands still before is silent, too.
    assert.ok(gap !== undefined && gap.lost >= 290, said);
    assert.ok(gap.from >= goneAt - 3000 - longestStallMs && gap.to <= backAt, said);
    t.diagnostic(
      `nobody for ${(without.to - without.from).toFixed(1)} ms, no answer for ${(gap.to - gap.from).toFixed(1)} ms`,
    );
  });

  it('measures how long two nodes hold an address, and leaves out nodes without power', async (t) => {
    const [a, b, vip] = [lab.node(0), lab.node(1), lab.plan.vip(1)];
    const watch = await HolderWatch.start(lab, vip);
    await hold(a, vip);
    const beganAt = Date.now();
    await hold(b, vip);
    // The times are those at which the watch hears of it.
    await watch.flush();
    const bothSince = Date.now();
    await sleep(150);
    const bothUntil = Date.now();
    await a.deleteAddress(vip);
    await watch.flush();
    const endedAt = Date.now();
    const both = watch.report();
    assert.ok(both.twoHoldersMs >= bothUntil - bothSince - 1, String(both.twoHoldersMs));
    assert.ok(both.twoHoldersMs <= endedAt - beganAt + 1, String(both.twoHoldersMs));
    await b.powerOff();
    await hold(a, vip);
    await watch.flush();
    await sleep(2000);
    await b.powerOn();
    const more = (await watch.stop()).twoHoldersMs - both.twoHoldersMs;
    // Not those two seconds; a watch that hears late of what power that is back has taken away adds a moment.
    assert.ok(more >= 0 && more < 1500, String(more));
    t.diagnostic(`${more.toFixed(1)} ms with two holders were counted while one had no power`);
  });

  it('does not count a tentative IPv6 address as held', async () => {
    const vip6 = lab.plan.vip6(0);
    const node = lab.node(0);
    const watch = await HolderWatch.start(lab, vip6);
    const addedAt = Date.now();
    await node.ip(`addr add ${vip6}/128 dev eth0`);
    await waitFor(
      async () => {
        const [found] = (await node.addresses()).filter(({ local }) => local === vip6);
        return found !== undefined && found.tentative !== true;
      },
      { what: 'duplicate address detection' },
    );
    const { segments } = await watch.stop();
    assert.deepEqual(
      segments.map((segment) => segment.holders),
      [[], ['cp1']],
    );
    assert.ok((segments[1]?.from ?? 0) - addedAt > 500, 'duplicate address detection takes its second');
  });

  it('captures ARP and neighbour discovery and reads them', { skip: captureRefusal() ?? false }, async () => {
    const capture = await Capture.start(lab.client, 'arp or icmp6');
    const node = lab.node(1);
    const asked = (frames: readonly Frame[]): Frame | undefined =>
      frames.find((frame) => frame.kind === 'arp' && frame.operation === 1 && frame.source === node.mac);
    const advertised = (frames: readonly Frame[]): Frame | undefined =>
      frames.find((frame) => frame.kind === 'na' && frame.source === lab.client.mac);
    // An answer says that it was asked for, unless the client has introduced itself meanwhile.
    await waitFor(
      async () => {
        await node.run('ip', ['neigh', 'flush', 'dev', 'eth0']);
        const isThere = (await node.ping(lab.client.ipv4)) && (await node.ping(lab.client.ipv6));
        const frames = capture.frames();
        return isThere && asked(frames) !== undefined && advertised(frames) !== undefined;
      },
      { what: 'a question of each family' },
    );
    const frames = await capture.stop();
    const request = asked(frames);
    assert.ok(request?.kind === 'arp');
    assert.deepEqual(
      [request.senderMac, request.senderIp, request.targetIp],
      [node.mac, node.ipv4, lab.client.ipv4],
    );
    const advertisement = advertised(frames);
    assert.ok(advertisement?.kind === 'na');
    assert.deepEqual(
      [advertisement.target, advertisement.flags, advertisement.linkAddress, advertisement.hopLimit],
      [lab.client.ipv6, 'SO', lab.client.mac, 255],
    );
  });
});
