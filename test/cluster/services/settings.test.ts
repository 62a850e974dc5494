import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Capture, waitFor } from '../../../lab/index.ts';
import { burstOffsetsMs } from '../../../src/protocols/announce/index.ts';
import { namespace } from './objects.ts';
import { servicesOnly, stageOf, whySkipped, type Stage } from './stage.ts';

describe('settings of Services', { skip: whySkipped() }, () => {
  const stage = stageOf({ prepare });
  const { vip } = stage;

  async function prepare({ objects, node }: Stage): Promise<void> {
    await objects.create({ name: 'web', vip: vip(1) }, [node]);
  }

  const noStatus = async (): Promise<void> => {
    await stage.objects.patch('web', { metadata: { annotations: { 'kube-vip.io/vipHost': null } } });
    await stage.cluster.api.client.patch(`/api/v1/namespaces/${namespace}/services/web/status`, {
      status: { loadBalancer: { ingress: null } },
    });
  };

  it('SVC-01 without svc_enable no Service is handled', async () => {
    await stage.withDaemon({}, async () => {
      await stage.appears(vip(0));
      assert.equal(await stage.node.holds(vip(1)), false);
      assert.ok(!(await stage.page('/status')).includes('"resource":"services"'));
    });
  });

  it('SVC-34 a stopping daemon leaves no VIP behind', async () => {
    await stage.withDaemon(servicesOnly, () => stage.appears(vip(1)));
    assert.equal(await stage.node.holds(vip(1)), false);
  });

  it('SVC-19 disable_service_updates writes neither status nor annotation', async () => {
    await noStatus();
    await stage.withDaemon({ ...servicesOnly, disable_service_updates: 'true' }, async () => {
      await stage.appears(vip(1));
      await sleep(500);
      const { metadata, status } = await stage.objects.get('web');
      assert.equal(metadata.annotations?.['kube-vip.io/vipHost'], undefined);
      assert.deepEqual(status?.loadBalancer?.ingress ?? [], []);
    });
  });

  it('svc_namespace: Services elsewhere are not seen', async () => {
    await stage.withDaemon({ ...servicesOnly, svc_namespace: 'elsewhere' }, async () => {
      await sleep(500);
      assert.equal(await stage.node.holds(vip(1)), false);
    });
    await stage.withDaemon({ ...servicesOnly, svc_namespace: namespace }, () => stage.appears(vip(1)));
  });

  it('SVC-07 a class name of their own', async () => {
    const { objects, node } = stage;
    const spec = { loadBalancerClass: 'example.com/mine' };
    await objects.create({ name: 'mine', vip: vip(5), spec }, [node]);
    await stage.withDaemon({ ...servicesOnly, lb_class_name: 'example.com/mine' }, async () => {
      await stage.appears(vip(5));
    });
    await objects.delete('mine');
  });

  it('SVC-26 enable_endpoints reads Endpoints instead of EndpointSlices', async () => {
    const { cluster, objects, node } = stage;
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    await objects.create({ name: 'old', vip: vip(6) }, [node]);
    await cluster.api.client.delete(`${slices}/old-1`);
    await cluster.api.client.create(`/api/v1/namespaces/${namespace}/endpoints`, {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'old', namespace },
      subsets: [{ addresses: [{ ip: '10.244.0.2', nodeName: node.name }], ports: [{ port: 8080 }] }],
    });
    await stage.withDaemon({ ...servicesOnly, enable_endpoints: 'true' }, async () => {
      await stage.appears(vip(6));
      assert.equal(await node.holds(vip(1)), false, 'it has an EndpointSlice only');
    });
    await objects.delete('old');
  });

  it('ELE-11 the same lease name for control plane and Services is one election', async () => {
    await stage.withDaemon({ svc_enable: 'true', svc_leasename: 'plndr-cp-lock' }, async () => {
      await Promise.all([stage.appears(vip(0)), stage.appears(vip(1))]);
      const holder = await stage.objects.leaseHolder('plndr-cp-lock', 'kube-system');
      assert.equal(holder, stage.node.name);
      assert.equal((await stage.page('/metrics')).match(/^kube_vip_is_leader\{/gm)?.length, 1);
      const { watches } = JSON.parse(await stage.page('/status')) as {
        watches: readonly { readonly resource: string }[];
      };
      const onLeases = watches.filter(({ resource }) => resource.startsWith('leases'));
      assert.equal(onLeases.length, 1, 'a second election would have a watch of its own');
    });
  });

  it('ELE-01 svc_leasename takes namespace/name; a lost lease ends the process only where that is asked for', async () => {
    const { cluster, objects, node } = stage;
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/edge`;
    const steal = async (): Promise<void> => {
      const now = new Date().toISOString().replace('Z', '000Z');
      await cluster.api.client.patch(path, { spec: { holderIdentity: 'thief', renewTime: now } });
      await stage.disappears(vip(1));
    };
    const exits = { svc_leasename: `${namespace}/edge`, vip_exit_on_lease_loss: 'true' };
    await stage.withDaemon({ ...servicesOnly, ...exits }, async () => {
      await stage.appears(vip(1));
      await steal();
      await waitFor(() => cluster.daemon(node).exits.length > 0, { what: 'the end of the process' });
    });
    // The thief lets go again: nobody has to wait for the end of the lease.
    await cluster.api.client.patch(path, { spec: { holderIdentity: '' } });
    await stage.withDaemon({ ...servicesOnly, svc_leasename: `${namespace}/edge` }, async () => {
      await stage.appears(vip(1));
      assert.equal(await objects.leaseHolder('edge', namespace), node.name);
      await steal();
      await cluster.api.client.patch(path, { spec: { holderIdentity: '' } });
      await stage.appears(vip(1));
      assert.equal(cluster.daemon(node).exits.length, 0);
    });
  });

  it('SVC-37 OBS-05 two instances with namespaces of their own leave one another alone', async () => {
    await stage.withDaemon({ ...servicesOnly, svc_namespace: namespace }, async () => {
      await stage.appears(vip(1));
      const { cluster, node } = stage;
      const first = cluster.daemon(node);
      const env = {
        ...cluster.daemonEnv(node, stage.defaults({ env: servicesOnly })),
        svc_namespace: 'elsewhere',
        svc_leasename: 'other',
        prometheus_server: ':2113',
      };
      const second = node.start('second', [process.execPath, 'src/main.ts', 'manager'], { env });
      await waitFor(async () => (await first.http('/readyz', 2113))?.status === 200, { what: 'the second' });
      const leads = async (): Promise<boolean> =>
        (await stage.objects.leaseHolder('other', 'kube-system')) === node.name;
      await waitFor(leads, { what: 'the second to lead', detail: stage.tails });
      // Longer than it takes a manager to sweep what a predecessor left.
      await sleep(4000);
      const theirs = JSON.parse((await first.http('/status', 2113))?.body ?? '{}') as { vips: unknown };
      assert.deepEqual(theirs.vips, [], 'the second wants nothing of the first');
      assert.equal(await node.holds(vip(1)), true);
      await second.stop();
      assert.equal(await node.holds(vip(1)), true);
    });
  });

  it('ARP-06 a link down longer than the timeout: VIP and lease are given up, and taken again when it is up', async () => {
    const { cluster, objects, node } = stage;
    await node.ip(
      'link add kvtest0 type veth peer name kvtest1',
      'link set kvtest0 up',
      'link set kvtest1 up',
    );
    const env = {
      vip_loseleadership: 'true',
      vip_loseleadership_timeout_seconds: '1',
      vip_servicesinterface: 'kvtest0',
    };
    try {
      await stage.withDaemon({ ...servicesOnly, ...env }, async () => {
        await stage.appears(vip(1));
        await node.ip('link set kvtest1 down');
        const released = async (): Promise<boolean> =>
          (await objects.leaseHolder('plndr-svcs-lock', 'kube-system')) === '';
        await waitFor(released, { what: 'the lease to be given up', detail: stage.tails });
        assert.equal(await node.holds(vip(1)), false);
        await node.ip('link set kvtest1 up');
        await stage.appears(vip(1));
        assert.equal(cluster.daemon(node).exits.length, 0, 'the process goes on');
      });
    } finally {
      await node.ip('link del kvtest0');
    }
  });

  it('a link that is renamed while it carries VIPs: both leases are given up, and taken again when it has its name', async () => {
    const { cluster, objects, node } = stage;
    await node.ip(
      'link add kvtest0 type veth peer name kvtest1',
      'link set kvtest0 up',
      'link set kvtest1 up',
    );
    const holders = async (): Promise<string> => {
      const names = ['plndr-cp-lock', 'plndr-svcs-lock'];
      const all = names.map((name) => objects.leaseHolder(name, 'kube-system'));
      return (await Promise.all(all)).join();
    };
    const both = [vip(0), vip(1)];
    try {
      await stage.withDaemon({ svc_enable: 'true', vip_interface: 'kvtest0' }, async () => {
        for (const each of both) await stage.appears(each);
        await node.ip('link set kvtest0 name kvtest9');
        await waitFor(async () => (await holders()) === ',', {
          what: 'both leases to be given up',
          detail: stage.tails,
        });
        for (const each of both) assert.equal(await node.holds(each), false);
        assert.match(stage.tails(), /link kvtest0 is called kvtest9 now/);
        await node.ip('link set kvtest9 name kvtest0');
        for (const each of both) await stage.appears(each);
        assert.equal(cluster.daemon(node).exits.length, 0, 'the process goes on');
      });
    } finally {
      await node.ip('link del kvtest1');
    }
  });

  it('ARP-02 ARP-09 announcements alternate every vip_arpRate; the VIP is deprecated', async () => {
    const { cluster, node } = stage;
    const capture = await Capture.start(cluster.lab.client, 'arp');
    const forms = (): readonly number[] =>
      capture
        .frames()
        .filter((frame) => frame.kind === 'arp')
        .filter(({ senderIp }) => senderIp === vip(1))
        .map(({ operation }) => operation);
    const wanted = 2 * burstOffsetsMs.length + 8;
    await stage.withDaemon({ ...servicesOnly, vip_arpRate: '500' }, async () => {
      await stage.appears(vip(1));
      await waitFor(() => forms().length >= wanted, {
        what: `${wanted} announcements`,
        timeoutMs: 60_000,
        detail: () => `${forms().length} were seen\n${stage.tails()}`,
      });
      const [address] = (await node.addresses()).filter(({ local }) => local === vip(1));
      assert.equal(address?.['deprecated'], true);
    });
    await capture.stop();
    const last = forms().slice(-8);
    for (const [i, form] of last.entries()) if (i > 0) assert.notEqual(form, last[i - 1], last.join());
  });
});
