import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waitFor } from '../../../lab/index.ts';
import { servicesOnly, stageOf, whySkipped } from './stage.ts';

const prefix = 'service-provided.kube-vip.io/';

describe('labels of Nodes', { skip: whySkipped() }, () => {
  const stage = stageOf({ daemons: { env: { ...servicesOnly, enable_node_labeling: 'true' } } });
  const { vip } = stage;

  async function labels(): Promise<Readonly<Record<string, string>>> {
    const { metadata } = await stage.cluster.api.client.get<{
      readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
    }>(`/api/v1/nodes/${stage.node.name}`);
    const own = Object.entries(metadata.labels ?? {}).filter(([key]) => key.startsWith(prefix));
    return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]));
  }

  const become = (wanted: Readonly<Record<string, string>>): Promise<unknown> =>
    waitFor(async () => JSON.stringify(await labels()) === JSON.stringify(wanted), {
      what: `the labels ${JSON.stringify(wanted)}`,
      detail: stage.tails,
    });

  it('SVC-33 a Service that this node provides is a label of the Node, dual stack too', async () => {
    const { objects, node } = stage;
    const six = '20010db8000000000000000000000001';
    await objects.create({ name: 'web', vip: `${vip(1)},2001:db8::1` }, [node]);
    await become({ 'web.shop': `${vip(1)}_${six}` });
    await objects.patch('web', { metadata: { annotations: { 'kube-vip.io/loadbalancerIPs': vip(1) } } });
    await become({ 'web.shop': vip(1) });
    await objects.create({ name: 'api', vip: vip(2) }, [node]);
    await objects.delete('web');
    await become({ 'api.shop': vip(2) });
  });

  it('SVC-33 a Node that is deleted and registered again has its labels again', async () => {
    const { cluster, node } = stage;
    await cluster.api.client.delete(`/api/v1/nodes/${node.name}`);
    await cluster.registerNode(node);
    await become({ 'api.shop': vip(2) });
  });

  it('SVC-33 what a killed daemon left is removed by the next, and nothing is left on exit', async () => {
    const { cluster, objects, node } = stage;
    const daemon = cluster.daemon(node);
    daemon.halt();
    await daemon.kill();
    await objects.delete('api');
    await objects.create({ name: 'new', vip: vip(3) }, [node]);
    assert.deepEqual(await labels(), { 'api.shop': vip(2) });
    daemon.startAgain();
    await become({ 'new.shop': vip(3) });
    await daemon.stop();
    assert.deepEqual(await labels(), {});
  });
});
