import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waitFor } from '../../../lab/index.ts';
import { stageOf, whySkipped } from '../services/stage.ts';

const pools = '/api/v1/namespaces/kube-system/configmaps/kubevip';
const prefix = 'service-provided.kube-vip.io/';
const env = { svc_enable: 'true', svc_ipam: 'true', svc_election: 'true' };

interface Labelled {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
}

// The lab grants what the manifest does.
describe('a manager with svc_ipam and the rights of its manifest', { skip: whySkipped() }, () => {
  const daemons = { env: { ...env, enable_node_labeling: 'true' } };
  const stage = stageOf({ api: 'real', controlPlanes: 1, daemons });
  const { vip } = stage;

  it('IPAM-14 IPAM-18 may create the ConfigMap, tell, assign, write the status and label the Node: nothing is forbidden', async () => {
    const { cluster, objects, node } = stage;
    const { client } = cluster.api;
    await waitFor(() => client.get(pools), { what: 'the ConfigMap', detail: stage.tails });
    await objects.create({ name: 'web' }, [node]);
    const told = async (): Promise<readonly string[]> =>
      (await objects.events('web')).map(({ reason }) => reason);
    await waitFor(async () => (await told()).includes('NoAddressPool'), { what: 'why', detail: stage.tails });
    await client.patch(pools, { data: { 'range-global': `${vip(1)}-${vip(3)}` } });
    await stage.statusIs('web', [vip(1)]);
    await waitFor(
      async () => {
        const { metadata } = await client.get<Labelled>(`/api/v1/nodes/${node.name}`);
        return metadata.labels?.[`${prefix}web.shop`] === vip(1);
      },
      { what: 'the label', detail: stage.tails },
    );
    await waitFor(async () => (await told()).includes('EnsuredLoadBalancer'), { what: 'the good news' });
    await objects.delete('web');
    await stage.gone(vip(1));
    assert.doesNotMatch(cluster.daemon(node).log(), /forbidden|\b403\b|missing permission/i);
  });
});
