import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor } from '../../../lab/index.ts';
import { Objects } from '../services/objects.ts';

const refused = ensurePrivilege();

describe('a manager with svc_ipam', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let objects: Objects;
  const vip = (n: number): string => cluster.lab.plan.vip(n);

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    objects = await Objects.in(cluster);
    // Before the daemons: they create an empty one where there is none.
    await cluster.api.client.create('/api/v1/namespaces/kube-system/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kubevip', namespace: 'kube-system' },
      // The first is the control-plane VIP: not for Services.
      data: { 'range-global': `${vip(0)}-${vip(4)}` },
    });
    await cluster.startDaemons({ env: { svc_enable: 'true', svc_ipam: 'true' } });
  });
  after(async () => {
    await cluster.stop();
  });

  it('IPAM-08 gives a Service its address, puts it on the network and reports it', async () => {
    await objects.create({ name: 'web' }, cluster.lab.nodes);
    const holder = await cluster.holder(vip(1));
    assert.deepEqual(await cluster.lab.holders(vip(1)), [holder.name]);
    await waitFor(async () => (await objects.ingress('web')).join() === vip(1), { what: 'the status' });
  });

  it('IPAM-17 goes on with the next manager when the one that assigned is gone', async () => {
    const lease = await objects.leaseHolder('kube-vip-cloud-controller', 'kube-system');
    const first = cluster.lab.controlPlanes.find(({ name }) => name === lease) ?? assert.fail();
    await cluster.daemon(first).stop();
    await objects.create({ name: 'next' }, cluster.lab.nodes);
    await cluster.holder(vip(2));
    assert.deepEqual(
      (await objects.get('web')).metadata.annotations?.['kube-vip.io/loadbalancerIPs'],
      vip(1),
    );
  });
});
