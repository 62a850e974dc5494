import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor } from '../../../lab/index.ts';
import { Objects } from '../services/objects.ts';

const refused = ensurePrivilege();
const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-vip-cloud-controller';

describe(
  'a Service whose leaseName is the lease of the address controller',
  { skip: refused?.because ?? false },
  () => {
    let cluster: Cluster;
    let objects: Objects;

    before(async () => {
      cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
      objects = await Objects.in(cluster);
      await cluster.startDaemons({ env: { svc_enable: 'true', svc_ipam: 'true', svc_election: 'true' } });
    });
    after(async () => {
      await cluster.stop();
    });

    const lease = (): Promise<{ spec: { holderIdentity: string; leaseTransitions?: number } }> =>
      cluster.api.client.get(path);

    it('has the same holder, and its end takes nothing from the controller', async () => {
      await waitFor(
        () =>
          lease().then(
            ({ spec }) => spec.holderIdentity !== '',
            () => false,
          ),
        {
          what: 'the controller to be elected',
        },
      );
      const { spec } = await lease();
      const vip = cluster.lab.plan.vip(1);
      const annotations = { 'kube-vip.io/leaseName': 'kube-system/kube-vip-cloud-controller' };
      await objects.create({ name: 'web', vip, annotations }, cluster.lab.nodes);
      assert.equal((await cluster.holder(vip)).name, spec.holderIdentity);
      await objects.delete('web');
      await waitFor(async () => (await cluster.lab.holders(vip)).length === 0, { what: 'the VIP to go' });
      // Somebody else would have the lease after a release: two retry periods.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const { holderIdentity, leaseTransitions } = (await lease()).spec;
      assert.deepEqual([holderIdentity, leaseTransitions], [spec.holderIdentity, spec.leaseTransitions]);
    });
  },
);
