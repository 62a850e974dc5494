import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  Cluster,
  clusterPrograms,
  ensureComponents,
  ensurePrivilege,
  leasePath,
  whyMissing,
} from '../../../lab/index.ts';

const refused = ensurePrivilege();
const missing = whyMissing(await ensureComponents([...clusterPrograms, 'openssl'], { install: false }));

const lease = {
  metadata: { name: 'plndr-cp-lock' },
  spec: { holderIdentity: 'cp2', leaseDurationSeconds: 5 },
};
const leases = leasePath.slice(0, leasePath.lastIndexOf('/'));

async function checkApi(api: 'real' | 'embedded'): Promise<void> {
  const cluster = await Cluster.start({ api, controlPlanes: api === 'real' ? 3 : 2, workers: 1 });
  try {
    const { items } = await cluster.api.client.get<{
      items: { metadata: { name: string }; status?: object }[];
    }>('/api/v1/nodes');
    assert.deepEqual(
      items.map((item) => item.metadata.name).sort(),
      cluster.lab.nodes.map((node) => node.name).sort(),
    );
    assert.match(JSON.stringify(items[0]?.status), /InternalIP.*10\.77\.0\.11/);
    await cluster.api.client.create(leases, lease);
    assert.equal(await cluster.leaseHolder(), 'cp2');
    await cluster.takeLease('somebody');
    await cluster.api.takeAway();
    assert.equal(await cluster.api.client.ready(), false);
    await cluster.api.bringBack();
    assert.equal(await cluster.leaseHolder(), 'somebody', 'what was stored survives');
    assert.equal(await cluster.deleteLease(), true);
    assert.equal(await cluster.leaseHolder(), undefined);
    if (api === 'real') {
      const node = cluster.lab.node(2);
      await cluster.powerOff(node);
      await cluster.api.client.create(leases, lease);
      await cluster.powerOn(node);
      assert.equal(await cluster.api.client.ready(cluster.real.serverOf(node)), true);
    }
  } finally {
    await cluster.stop();
  }
}

describe('lab cluster', { skip: refused?.because ?? false }, () => {
  it('with the embedded API server', async () => {
    await checkApi('embedded');
  });
  it(
    'with etcd and kube-apiserver on three nodes, one of which is switched off and on',
    { skip: missing ?? false },
    async () => {
      await checkApi('real');
    },
  );
});
