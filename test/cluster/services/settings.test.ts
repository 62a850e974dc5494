import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Capture, Cluster, ensurePrivilege, waitFor, type Machine } from '../../../lab/index.ts';
import { namespace, Objects } from './objects.ts';

const refused = ensurePrivilege();
const servicesOnly = { cp_enable: 'false', address: '', svc_enable: 'true' };

describe('settings of Services', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let objects: Objects;
  let node: Machine;
  const vip = (n: number): string => cluster.lab.plan.vip(n);

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
    objects = await Objects.in(cluster);
    node = cluster.lab.node(0);
    await objects.create({ name: 'web', vip: vip(1) }, [node]);
  });
  after(async () => {
    await cluster.stop();
  });

  /** From when it is ready. */
  const withDaemon = (env: Readonly<Record<string, string>>, body: () => Promise<void>): Promise<void> =>
    cluster.withDaemon(node, { env }, async (daemon) => {
      await daemon.waitReady();
      await body();
    });

  const appears = (address: string): Promise<unknown> =>
    waitFor(() => node.holds(address), { what: `${address} to appear`, everyMs: 10 });
  const noStatus = async (): Promise<void> => {
    await objects.patch('web', { metadata: { annotations: { 'kube-vip.io/vipHost': null } } });
    await cluster.api.client.patch(`/api/v1/namespaces/${namespace}/services/web/status`, {
      status: { loadBalancer: { ingress: null } },
    });
  };

  it('SVC-01 without svc_enable no Service is handled', async () => {
    await withDaemon({}, async () => {
      await appears(vip(0));
      assert.equal(await node.holds(vip(1)), false);
      const page = await cluster.daemon(node).http('/status');
      assert.ok(!(page?.body ?? '').includes('"resource":"services"'));
    });
  });

  it('SVC-34 a stopping daemon leaves no VIP behind', async () => {
    await withDaemon(servicesOnly, () => appears(vip(1)).then(() => undefined));
    assert.equal(await node.holds(vip(1)), false);
  });

  it('SVC-19 disable_service_updates writes neither status nor annotation', async () => {
    await noStatus();
    await withDaemon({ ...servicesOnly, disable_service_updates: 'true' }, async () => {
      await appears(vip(1));
      await sleep(500);
      const { metadata, status } = await objects.get('web');
      assert.equal(metadata.annotations?.['kube-vip.io/vipHost'], undefined);
      assert.deepEqual(status?.loadBalancer?.ingress ?? [], []);
    });
  });

  it('svc_namespace: Services elsewhere are not seen', async () => {
    await withDaemon({ ...servicesOnly, svc_namespace: 'elsewhere' }, async () => {
      await sleep(500);
      assert.equal(await node.holds(vip(1)), false);
    });
    await withDaemon({ ...servicesOnly, svc_namespace: namespace }, () =>
      appears(vip(1)).then(() => undefined),
    );
  });

  it('SVC-07 a class name of their own', async () => {
    const spec = { loadBalancerClass: 'example.com/mine' };
    await objects.create({ name: 'mine', vip: vip(5), spec }, [node]);
    await withDaemon({ ...servicesOnly, lb_class_name: 'example.com/mine' }, async () => {
      await appears(vip(5));
    });
    await objects.delete('mine');
  });

  it('SVC-26 enable_endpoints reads Endpoints instead of EndpointSlices', async () => {
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    await objects.create({ name: 'old', vip: vip(6) }, [node]);
    await cluster.api.client.delete(`${slices}/old-1`);
    await cluster.api.client.create(`/api/v1/namespaces/${namespace}/endpoints`, {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'old', namespace },
      subsets: [{ addresses: [{ ip: '10.244.0.2', nodeName: node.name }], ports: [{ port: 8080 }] }],
    });
    await withDaemon({ ...servicesOnly, enable_endpoints: 'true' }, async () => {
      await appears(vip(6));
      assert.equal(await node.holds(vip(1)), false, 'it has an EndpointSlice only');
    });
    await objects.delete('old');
  });

  it('ELE-11 the same lease name for control plane and Services is one election', async () => {
    await withDaemon({ svc_enable: 'true', svc_leasename: 'plndr-cp-lock' }, async () => {
      await Promise.all([appears(vip(0)), appears(vip(1))]);
      assert.equal(await objects.leaseHolder('plndr-cp-lock', 'kube-system'), node.name);
      const metrics = (await cluster.daemon(node).http('/metrics'))?.body ?? '';
      assert.equal(metrics.match(/^kube_vip_is_leader\{/gm)?.length, 1);
      const page = (await cluster.daemon(node).http('/status'))?.body ?? '{}';
      const { watches = [] } = JSON.parse(page) as { watches?: readonly { readonly resource: string }[] };
      const onLeases = watches.filter(({ resource }) => resource.startsWith('leases'));
      assert.equal(onLeases.length, 1, 'a second election would have a watch of its own');
    });
  });

  it('ELE-01 svc_leasename takes namespace/name; a lost lease ends the process only where that is asked for', async () => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/edge`;
    const steal = async (): Promise<void> => {
      const now = new Date().toISOString().replace('Z', '000Z');
      await cluster.api.client.patch(path, { spec: { holderIdentity: 'thief', renewTime: now } });
      await waitFor(async () => !(await node.holds(vip(1))), { what: 'the VIP to go', everyMs: 10 });
    };
    const exits = { svc_leasename: `${namespace}/edge`, vip_exit_on_lease_loss: 'true' };
    await withDaemon({ ...servicesOnly, ...exits }, async () => {
      await appears(vip(1));
      await steal();
      await waitFor(() => cluster.daemon(node).exits.length > 0, { what: 'the end of the process' });
    });
    await withDaemon({ ...servicesOnly, svc_leasename: `${namespace}/edge` }, async () => {
      await appears(vip(1));
      assert.equal(await objects.leaseHolder('edge', namespace), node.name);
      await steal();
      await appears(vip(1));
      assert.equal(cluster.daemon(node).exits.length, 0);
    });
  });

  it('SVC-37 OBS-05 two instances with namespaces of their own leave one another alone', async () => {
    await withDaemon({ ...servicesOnly, svc_namespace: namespace }, async () => {
      await appears(vip(1));
      const first = cluster.daemon(node);
      const env = {
        ...cluster.daemonEnv(node, { env: servicesOnly }),
        svc_namespace: 'elsewhere',
        svc_leasename: 'other',
        prometheus_server: ':2113',
      };
      const second = node.start('second', [process.execPath, 'src/main.ts', 'manager'], { env });
      await waitFor(async () => (await first.http('/readyz', 2113))?.status === 200, { what: 'the second' });
      const theirs = JSON.parse((await first.http('/status', 2113))?.body ?? '{}') as { vips?: unknown };
      assert.deepEqual(theirs.vips, [], 'the second wants nothing of the first');
      await sleep(4000);
      assert.equal(await node.holds(vip(1)), true);
      await second.stop();
      assert.equal(await node.holds(vip(1)), true);
    });
  });

  it('ARP-06 a link down longer than the timeout: VIP and lease are given up, and taken again when it is up', async () => {
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
      await withDaemon({ ...servicesOnly, ...env }, async () => {
        await appears(vip(1));
        await node.ip('link set kvtest1 down');
        const released = async (): Promise<boolean> =>
          (await objects.leaseHolder('plndr-svcs-lock', 'kube-system')) === '';
        await waitFor(released, { what: 'the lease to be given up', everyMs: 10 });
        assert.equal(await node.holds(vip(1)), false);
        await node.ip('link set kvtest1 up');
        await appears(vip(1));
        assert.equal(cluster.daemon(node).exits.length, 0, 'the process goes on');
      });
    } finally {
      await node.ip('link del kvtest0');
    }
  });

  it('ARP-02 ARP-09 announcements alternate every vip_arpRate; the VIP is deprecated', async () => {
    const capture = await Capture.start(cluster.lab.client, 'arp');
    await withDaemon({ ...servicesOnly, vip_arpRate: '500' }, async () => {
      await appears(vip(1));
      await sleep(6000);
      const [address] = (await node.addresses()).filter(({ local }) => local === vip(1));
      assert.equal(address?.['deprecated'], true);
    });
    const frames = await capture.stop();
    const own = frames.filter((frame) => frame.kind === 'arp').filter(({ senderIp }) => senderIp === vip(1));
    const forms = own.map(({ operation }) => operation).slice(-8);
    assert.equal(forms.length, 8, `${own.length} announcements`);
    for (const [i, form] of forms.entries()) if (i > 0) assert.notEqual(form, forms[i - 1]);
  });
});
