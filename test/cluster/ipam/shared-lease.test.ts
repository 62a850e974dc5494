import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../../lab/index.ts';
import { stageOf, whySkipped } from '../services/stage.ts';

const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-vip-cloud-controller';

interface Lease {
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions?: number };
}

describe('a Service whose leaseName is the lease of the address controller', { skip: whySkipped() }, () => {
  const env = { svc_enable: 'true', svc_ipam: 'true', svc_election: 'true' };
  const stage = stageOf({ controlPlanes: 2, daemons: { env } });

  it('has the same holder, and its end takes nothing from the controller', async () => {
    const { cluster, objects, nodes } = stage;
    const lease = (): Promise<Lease> => cluster.api.client.get(path);
    const { spec } = await waitFor(
      async () => {
        const now = await lease();
        return now.spec.holderIdentity === '' ? undefined : now;
      },
      { what: 'the controller to be elected', detail: stage.tails },
    );
    const vip = stage.vip(1);
    const annotations = { 'kube-vip.io/leaseName': 'kube-system/kube-vip-cloud-controller' };
    await objects.create({ name: 'web', vip, annotations }, nodes);
    assert.equal((await cluster.holder(vip)).name, spec.holderIdentity);
    await objects.delete('web');
    await stage.gone(vip);
    // Somebody else would have the lease after a release: two retry periods.
    await sleep(2000);
    const { holderIdentity, leaseTransitions } = (await lease()).spec;
    assert.deepEqual([holderIdentity, leaseTransitions], [spec.holderIdentity, spec.leaseTransitions]);
  });
});
