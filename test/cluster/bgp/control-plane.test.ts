import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { waitFor } from '../../../lab/index.ts';
import { BgpStage, VIP, VIP6, whySkipped, WITHDRAWN_WITHIN } from './stage.ts';

describe('a control-plane VIP in BGP mode', { skip: whySkipped() }, () => {
  let stage: BgpStage;

  before(async () => {
    stage = await BgpStage.start(2);
  });
  after(async () => {
    await stage.stop();
  });

  const untilPinged = (address: string): Promise<unknown> =>
    waitFor(() => stage.cluster.lab.client.ping(address), { what: `${address} to answer` });

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
      await untilPinged(VIP);
      await untilPinged(VIP6);
      await daemon.waitReady();
      assert.equal(await cluster.leaseHolder(), undefined, 'nobody campaigns');
    });
  });

  it('BGP-28 nothing listens on 179; BGP-27 one series of each peer is 1; the dump tells of peers and routes', async () => {
    const node = stage.cluster.lab.node(0);
    await stage.withDaemons([node], {}, async (daemon) => {
      await stage.untilHops(VIP, [node.ipv4]);
      assert.doesNotMatch(await node.run('ss', ['-Hltn']), /:179\b/);
      const metrics = await waitFor(async () => (await daemon.http('/metrics'))?.body, { what: 'metrics' });
      const series = [...metrics.matchAll(/^kube_vip_manager_bgp_session_info\{(.*)\} (\d)$/gm)];
      const peer = `peer="${stage.routerAddress}:179"`;
      assert.ok(series.length > 1 && series.every(([, labels = '']) => labels.includes(peer)), metrics);
      const hot = series.filter(([, , value]) => value === '1').map(([, labels]) => labels);
      assert.equal(hot.length, 1);
      assert.match(hot[0] ?? '', /state="SESSION_STATE_ESTABLISHED"/);
      const dump = await stage.dump(daemon);
      assert.match(dump, new RegExp(`${stage.routerAddress}:179 \\(AS: 65500\\), established`));
      assert.match(dump, new RegExp(`${VIP}/32 next hop ${node.ipv4}`));
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
      await cluster.daemon(holder).stop();
      const other = nodes.find((node) => node !== holder);
      assert.ok(other !== undefined);
      await stage.untilHops(VIP, [other.ipv4]);
      await untilPinged(VIP);
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
      await waitFor(async () => !(await node.holds(VIP)), { what: 'the VIP to go' });
    });
  });

  it('CP-127 CP-184 SIGTERM withdraws the route and removes the VIP before exit', async () => {
    const node = stage.cluster.lab.node(0);
    await stage.withDaemons([node], {}, async (daemon) => {
      await stage.untilHops(VIP, [node.ipv4]);
      const said = stage.router.process.log().length;
      daemon.process.signal('SIGTERM');
      const exit = await daemon.process.untilExit();
      assert.equal(exit.code, 0);
      assert.equal(await node.holds(VIP), false);
      assert.equal(await node.holds(VIP6), false);
      await stage.untilHops(VIP, [], WITHDRAWN_WITHIN);
      await waitFor(() => stage.router.process.log().slice(said).includes('Received: Peer de-configured'), {
        what: 'the router to be told why',
        detail: () => stage.router.process.tail(),
      });
    });
  });
});
