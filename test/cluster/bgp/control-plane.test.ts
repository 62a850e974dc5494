import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { waitFor } from '../../../lab/index.ts';
import { BgpStage, VIP, VIP6, whySkipped } from './stage.ts';

describe('a control-plane VIP in BGP mode', { skip: whySkipped() }, () => {
  let stage: BgpStage;

  before(async () => {
    stage = await BgpStage.start(2);
  });
  after(async () => {
    await stage.stop();
  });

  it('CP-180 host routes /32 and /128 are announced, the VIPs are on the interface, and traffic arrives', async () => {
    const { cluster, router } = stage;
    const node = cluster.lab.node(0);
    await stage.withDaemons([node], { vip_subnet: '24,64' }, async (daemon) => {
      await stage.untilHops(VIP, [node.ipv4]);
      await stage.untilHops(VIP6, [node.ipv6]);
      assert.match(await router.route(VIP), new RegExp(`${VIP}/32`));
      assert.match(await router.route(VIP6), new RegExp(`${VIP6}/128`));
      const addresses = await node.run('ip', ['addr', 'show', 'dev', 'lo']);
      assert.match(addresses, new RegExp(`inet ${VIP}/24 .*scope host`));
      assert.match(addresses, new RegExp(`inet6 ${VIP6}/64 `));
      assert.equal(await cluster.lab.client.ping(VIP), true);
      assert.equal(await cluster.lab.client.ping(VIP6), true);
      await daemon.waitReady();
      assert.equal(await cluster.leaseHolder(), undefined, 'nobody campaigns');
    });
  });

  it('BGP-28 nothing listens on 179; BGP-27 one series of each peer is 1; the dump tells of peers and routes', async () => {
    const node = stage.cluster.lab.node(0);
    await stage.withDaemons([node], {}, async (daemon) => {
      await stage.untilHops(VIP, [node.ipv4]);
      assert.doesNotMatch(await node.run('ss', ['-Hltn']), /:179\b/);
      const metrics = (await daemon.http('/metrics'))?.body ?? '';
      const series = [...metrics.matchAll(/^kube_vip_manager_bgp_session_info\{(.*)\} (\d)$/gm)];
      const peer = `peer="${stage.routerAddress}:179"`;
      assert.ok(series.length > 1 && series.every(([, labels = '']) => labels.includes(peer)), metrics);
      const hot = series.filter(([, , value]) => value === '1').map(([, labels]) => labels);
      assert.equal(hot.length, 1);
      assert.match(hot[0] ?? '', /state="SESSION_STATE_ESTABLISHED"/);
      daemon.process.signal('SIGUSR1');
      await daemon.process.waitForLog(/END OF CONFIGURATION DUMP/);
      assert.match(daemon.log(), new RegExp(`${stage.routerAddress}:179 \\(AS: 65500\\), established`));
      assert.match(daemon.log(), new RegExp(`${VIP}/32 next hop ${node.ipv4}`));
    });
  });

  it('CP-82 without election all nodes announce, with election only the leader', async () => {
    const { cluster } = stage;
    const nodes = cluster.lab.controlPlanes;
    const all = nodes.map(({ ipv4 }) => ipv4);
    await stage.withDaemons(nodes, {}, async () => {
      await stage.untilHops(VIP, all);
    });
    await stage.untilHops(VIP, []);
    await stage.withDaemons(nodes, { vip_leaderelection: 'true' }, async () => {
      const holder = await cluster.holder(VIP);
      assert.equal(await cluster.leaseHolder(), holder.name);
      await stage.untilHops(VIP, [holder.ipv4]);
      for (const node of nodes) assert.equal(await node.holds(VIP), node === holder);
      // And it moves with the lease.
      await cluster.daemon(holder).stop(10_000);
      const other = nodes.find((node) => node !== holder);
      assert.ok(other !== undefined);
      await stage.untilHops(VIP, [other.ipv4]);
      assert.equal(await cluster.lab.client.ping(VIP), true);
    });
  });

  it('CP-82 a leader whose lease is taken by somebody else withdraws the route', async () => {
    const { cluster } = stage;
    const node = cluster.lab.node(0);
    await cluster.deleteLease();
    await stage.withDaemons([node], { vip_leaderelection: 'true' }, async () => {
      await stage.untilHops(VIP, [node.ipv4]);
      await cluster.takeLease('somebody-else');
      await stage.untilHops(VIP, []);
      assert.equal(await node.holds(VIP), false);
    });
  });

  it('CP-127 CP-184 SIGTERM withdraws the route and removes the VIP before exit', async () => {
    const node = stage.cluster.lab.node(0);
    await stage.withDaemons([node], {}, async (daemon) => {
      await stage.untilHops(VIP, [node.ipv4]);
      daemon.process.signal('SIGTERM');
      const exit = await daemon.process.untilExit();
      assert.equal(exit.code, 0);
      assert.equal(await node.holds(VIP), false);
      assert.equal(await node.holds(VIP6), false);
      // Long before the hold time of 9 s: the router was told.
      await waitFor(async () => (await stage.hops()).length === 0, { what: 'no route', timeoutMs: 2000 });
      assert.match(stage.router.process.log(), /Received: Peer de-configured/);
    });
  });
});
