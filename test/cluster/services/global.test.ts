import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Capture, waitFor, type Machine } from '../../../lab/index.ts';
import { servicesOnly, stageOf, whySkipped } from './stage.ts';

describe('Services under one lease', { skip: whySkipped() }, () => {
  const stage = stageOf({ controlPlanes: 3, responders: true, daemons: { env: servicesOnly } });
  const { vip } = stage;

  /** The node that holds the global lease. */
  async function leader(): Promise<Machine> {
    const name = await stage.objects.leaseHolder('plndr-svcs-lock', 'kube-system');
    const node = stage.nodes.find((each) => each.name === name);
    assert.ok(node !== undefined, `no node ${name ?? '(nobody)'}`);
    return node;
  }

  it('ARP-01 the VIP is on the holder of plndr-svcs-lock only, with the mask of a host', async () => {
    const { cluster, objects, nodes } = stage;
    await objects.create({ name: 'web', vip: vip(1) }, nodes);
    const holder = await cluster.holder(vip(1));
    assert.equal(holder.name, (await leader()).name);
    const [address] = (await holder.addresses()).filter(({ local }) => local === vip(1));
    assert.equal(address?.prefixlen, 32);
  });

  it('ARP-01 on the wire nobody but the holder answers for a VIP, of either family, before and after a move', async () => {
    const { cluster, objects, nodes } = stage;
    const vip6 = cluster.lab.plan.vip6(1);
    const { client } = cluster.lab;
    await objects.create({ name: 'both', vip: `${vip(4)},${vip6}` }, nodes);
    /** Who answers the client now, asked anew each time: `family mac`. */
    const answers = async (): Promise<readonly string[]> => {
      const capture = await Capture.start(client, 'arp or icmp6');
      for (let round = 0; round < 3; round++) {
        await client.ip('neigh flush dev eth0');
        for (const address of [vip(4), vip6])
          await waitFor(() => client.ping(address), { what: `${address} to answer` });
      }
      const found = new Set<string>();
      for (const frame of await capture.stop()) {
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
    cluster.daemon(first).startAgain();
    await cluster.daemon(first).waitReady();
    await objects.delete('both');
    await stage.gone(vip(4));
  });

  it('SVC-17 SVC-18 the status has one entry per VIP with its ports, and vipHost names the holder', async () => {
    const { cluster, objects } = stage;
    const holder = await cluster.holder(vip(1));
    await stage.statusIs('web', [vip(1)]);
    await stage.vipHostIs('web', holder.name);
    const { status } = await objects.get('web');
    assert.deepEqual(
      status?.loadBalancer?.ingress?.map(({ ip, ports }) => ({ ip, ports })),
      [{ ip: vip(1), ports: [{ port: 80, protocol: 'TCP' }] }],
    );
  });

  it('SVC-22 ARP-10 two Services on one VIP: deleting either loses no packet', async () => {
    const { cluster, objects, nodes } = stage;
    await objects.create({ name: 'one', vip: vip(2) }, nodes);
    await objects.create({ name: 'two', vip: vip(2), port: 81 }, nodes);
    const holder = await cluster.holder(vip(2));
    await stage.statusIs('two', [vip(2)]);
    await stage.undisturbed(vip(2), holder, async () => {
      await objects.delete('one');
      await waitFor(
        async () =>
          (await stage.page('/metrics', holder)).includes('kube_vip_active_services{namespace="shop"} 2'),
        { what: 'the deletion to be handled', detail: stage.tails },
      );
    });
    await objects.delete('two');
    await stage.gone(vip(2));
  });

  it('the address of a node is refused to a Service, whichever node it is', async () => {
    const { cluster, objects, nodes } = stage;
    const holder = await leader();
    for (const node of nodes) {
      const name = `thief-${node.name}`;
      await objects.create({ name, vip: node.ipv4 }, nodes);
      const [event] = await waitFor(
        async () => {
          const events = await objects.events(name);
          return events.length > 0 ? events : undefined;
        },
        { what: 'an Event that says why', detail: stage.tails },
      );
      const whose =
        node === holder ? 'an address of this node itself, on eth0' : `the address of node ${node.name}`;
      assert.deepEqual(event && [event.reason, event.message], [
        'AddressInUse',
        `kube-vip.io/loadbalancerIPs: ${node.ipv4} is ${whose}`,
      ]);
      assert.deepEqual(await cluster.lab.holders(node.ipv4), [node.name]);
    }
  });

  it('what a killed kube-vip left, which marks nothing, goes from a node that does not hold and is adopted by the holder', async () => {
    const { cluster, objects, nodes } = stage;
    const [left, other] = [vip(5), vip(6)];
    const holder = await leader();
    const bystander = nodes.find((node) => node !== holder);
    assert.ok(bystander !== undefined);
    await cluster.daemon(bystander).stop();
    const put = (node: Machine, address: string): Promise<string> =>
      node.run('ip', ['addr', 'add', address, 'dev', 'eth0', 'preferred_lft', '0', 'valid_lft', 'forever']);
    await put(bystander, `${left}/24`);
    await put(bystander, `${other}/32`);
    await put(holder, `${left}/32`);
    await objects.create({ name: 'old', vip: left }, nodes);
    await stage.statusIs('old', [left]);
    cluster.daemon(bystander).startAgain();
    await cluster.daemon(bystander).waitReady();
    await cluster.holder(left);
    assert.equal(await holder.holds(left), true);
    assert.equal(await bystander.holds(other), true, 'no Service has it');
    await bystander.deleteAddress(other);
    await objects.delete('old');
    await stage.gone(left);
  });

  it('SVC-23 SVC-35 a Service deleted while the manager was stopped is cleaned up at its next start', async () => {
    const { cluster, objects, nodes, daemons } = stage;
    await objects.create({ name: 'late', vip: vip(3) }, nodes);
    const holder = await cluster.holder(vip(3));
    for (const daemon of daemons) daemon.halt();
    await Promise.all(daemons.map((daemon) => daemon.kill()));
    assert.ok(await holder.holds(vip(3)), 'a killed manager leaves its VIPs');
    await objects.delete('late');
    for (const daemon of daemons) daemon.startAgain();
    await Promise.all(daemons.map((daemon) => daemon.waitReady()));
    await stage.gone(vip(3));
    await cluster.holder(vip(1));
  });
});
