import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waitFor } from '../../../lab/index.ts';
import { stageOf, whySkipped, type Stage } from '../services/stage.ts';

describe('a manager with svc_ipam', { skip: whySkipped() }, () => {
  const daemons = { env: { svc_enable: 'true', svc_ipam: 'true' } };
  const stage = stageOf({ controlPlanes: 2, prepare, daemons });
  const { vip } = stage;

  /** Before the daemons: they create an empty one where there is none. */
  async function prepare({ cluster }: Stage): Promise<void> {
    await cluster.api.client.create('/api/v1/namespaces/kube-system/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kubevip', namespace: 'kube-system' },
      // The first is the control-plane VIP: not for Services.
      data: { 'range-global': `${vip(0)}-${vip(4)}` },
    });
  }

  it('IPAM-08 gives a Service its address, puts it on the network and reports it', async () => {
    const { cluster, objects, nodes } = stage;
    await objects.create({ name: 'web' }, nodes);
    const holder = await cluster.holder(vip(1));
    assert.deepEqual(await cluster.lab.holders(vip(1)), [holder.name]);
    await stage.statusIs('web', [vip(1)]);
  });

  it('IPAM-17 goes on with the next manager when the one that assigned is gone', async () => {
    const { cluster, objects, nodes } = stage;
    const first = await waitFor(
      async () => {
        const holder = await objects.leaseHolder('kube-vip-cloud-controller', 'kube-system');
        return nodes.find(({ name }) => name === holder);
      },
      { what: 'the one that assigns', detail: stage.tails },
    );
    await cluster.daemon(first).stop();
    await objects.create({ name: 'next' }, nodes);
    await cluster.holder(vip(2));
    assert.deepEqual(
      (await objects.get('web')).metadata.annotations?.['kube-vip.io/loadbalancerIPs'],
      vip(1),
    );
  });
});
