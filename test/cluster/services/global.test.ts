import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Capture, Cluster, ensurePrivilege, Prober, waitFor, type Machine } from '../../../lab/index.ts';
import { Objects } from './objects.ts';

const refused = ensurePrivilege();
const settings = { cp_enable: 'false', svc_enable: 'true', address: '' };

describe('Services under one lease', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let objects: Objects;
  const vip = (n: number): string => cluster.lab.plan.vip(n);

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 3 });
    objects = await Objects.in(cluster);
    await cluster.startResponders();
    await cluster.startDaemons({ env: settings });
  });
  after(async () => {
    await cluster.stop();
  });

  const gone = (address: string): Promise<unknown> =>
    waitFor(async () => (await cluster.lab.holders(address)).length === 0, {
      what: `${address} to go`,
      everyMs: 10,
    });

  /** The node that holds the global lease. */
  async function leader(): Promise<Machine> {
    const name = await objects.leaseHolder('plndr-svcs-lock', 'kube-system');
    const node = cluster.lab.controlPlanes.find((each) => each.name === name);
    assert.ok(node !== undefined, `no node ${name ?? '(nobody)'}`);
    return node;
  }

  it('ARP-01 the VIP is on the holder of plndr-svcs-lock only, with the mask of a host', async () => {
    await objects.create({ name: 'web', vip: vip(1) }, cluster.lab.nodes);
    const holder = await cluster.holder(vip(1));
    assert.equal(holder.name, (await leader()).name);
    const [address] = (await holder.addresses()).filter(({ local }) => local === vip(1));
    assert.equal(address?.prefixlen, 32);
  });

  it('ARP-01 on the wire nobody but the holder answers for a VIP, of either family, before and after a move', async () => {
    const vip6 = cluster.lab.plan.vip6(1);
    const { client } = cluster.lab;
    await objects.create({ name: 'both', vip: `${vip(4)},${vip6}` }, cluster.lab.nodes);
    const capture = await Capture.start(client, 'arp or icmp6');
    /** Who answers the client now, asked anew each time: `family mac`. */
    const answers = async (): Promise<readonly string[]> => {
      const before = capture.frames().length;
      for (let round = 0; round < 3; round++) {
        await client.ip('neigh flush dev eth0');
        for (const address of [vip(4), vip6])
          await waitFor(() => client.ping(address), { what: `${address} to answer` });
      }
      const found = new Set<string>();
      for (const frame of capture.frames().slice(before)) {
        if (frame.kind === 'arp' && frame.operation === 2 && frame.senderIp === vip(4))
          if (frame.targetIp === client.ipv4) found.add(`4 ${frame.senderMac}`);
        if (frame.kind === 'na' && frame.target === vip6 && frame.flags.includes('S'))
          found.add(`6 ${frame.linkAddress}`);
      }
      return [...found].sort();
    };
    const first = await cluster.holder(vip(4));
    assert.deepEqual(await answers(), [`4 ${first.mac}`, `6 ${first.mac}`]);
    await cluster.daemon(first).stop();
    const second = await cluster.holder(vip(4));
    assert.notEqual(second.name, first.name);
    assert.deepEqual(await answers(), [`4 ${second.mac}`, `6 ${second.mac}`]);
    await capture.stop();
    cluster.daemon(first).startAgain();
    await cluster.daemon(first).waitReady();
    await objects.delete('both');
    await gone(vip(4));
  });

  it('SVC-17 SVC-18 the status has one entry per VIP with its ports, and vipHost names the holder', async () => {
    const holder = await cluster.holder(vip(1));
    await waitFor(async () => (await objects.ingress('web')).length > 0, { what: 'the status', everyMs: 20 });
    const { metadata, status } = await objects.get('web');
    assert.deepEqual(
      status?.loadBalancer?.ingress?.map(({ ip, ports }) => ({ ip, ports })),
      [{ ip: vip(1), ports: [{ port: 80, protocol: 'TCP' }] }],
    );
    assert.equal(metadata.annotations?.['kube-vip.io/vipHost'], holder.name);
  });

  it('SVC-22 ARP-10 two Services on one VIP: deleting either loses no packet', async () => {
    await objects.create({ name: 'one', vip: vip(2) }, cluster.lab.nodes);
    await objects.create({ name: 'two', vip: vip(2), port: 81 }, cluster.lab.nodes);
    const holder = await cluster.holder(vip(2));
    await waitFor(async () => (await objects.ingress('two')).length > 0, { what: 'the status' });
    const prober = await Prober.start(cluster.lab.client, vip(2));
    try {
      await prober.answering();
      await objects.delete('one');
      await waitFor(
        async () =>
          (await cluster.daemon(holder).http('/metrics'))?.body.includes(
            'kube_vip_active_services{namespace="shop"} 2',
          ) ?? false,
        { what: 'the deletion to be handled' },
      );
      assert.deepEqual(await cluster.lab.holders(vip(2)), [holder.name]);
      await prober.answering();
      const report = await prober.report();
      assert.equal(report.longestGapMs, 0, JSON.stringify(report.gaps));
    } finally {
      await prober.kill();
    }
    await objects.delete('two');
    await gone(vip(2));
  });

  it('the address of a node is refused to a Service, whichever node it is', async () => {
    const holder = await leader();
    for (const node of cluster.lab.controlPlanes) {
      const name = `thief-${node.name}`;
      await objects.create({ name, vip: node.ipv4 }, cluster.lab.nodes);
      await waitFor(async () => (await objects.events(name)).length > 0, { what: 'an Event that says why' });
      const [event] = await objects.events(name);
      const whose =
        node === holder ? 'an address of this node itself, on eth0' : `the address of node ${node.name}`;
      assert.deepEqual(event && [event.reason, event.message], [
        'AddressInUse',
        `kube-vip.io/loadbalancerIPs: ${node.ipv4} is ${whose}`,
      ]);
      assert.deepEqual(await cluster.lab.holders(node.ipv4), [node.name]);
    }
  });

  it('SVC-23 SVC-35 a Service deleted while the manager was stopped is cleaned up at its next start', async () => {
    await objects.create({ name: 'late', vip: vip(3) }, cluster.lab.nodes);
    const holder = await cluster.holder(vip(3));
    for (const daemon of cluster.daemons.values()) daemon.halt();
    await Promise.all([...cluster.daemons.values()].map((daemon) => daemon.kill()));
    assert.ok(await holder.holds(vip(3)), 'a killed manager leaves its VIPs');
    await objects.delete('late');
    for (const node of cluster.lab.controlPlanes) cluster.daemon(node).startAgain();
    await Promise.all([...cluster.daemons.values()].map((daemon) => daemon.waitReady()));
    await gone(vip(3));
    await cluster.holder(vip(1));
  });
});
