import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor, type Machine } from '../../../lab/index.ts';
import { Objects } from './objects.ts';

const refused = ensurePrivilege();
const settings = { cp_enable: 'false', address: '', svc_enable: 'true', enable_node_labeling: 'true' };
const prefix = 'service-provided.kube-vip.io/';

describe('labels of Nodes', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let objects: Objects;
  let node: Machine;
  const vip = (n: number): string => cluster.lab.plan.vip(n);

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
    objects = await Objects.in(cluster);
    node = cluster.lab.node(0);
    await cluster.startDaemons({ env: settings });
  });
  after(async () => {
    await cluster.stop();
  });

  async function labels(): Promise<Readonly<Record<string, string>>> {
    const { metadata } = await cluster.api.client.get<{
      readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
    }>(`/api/v1/nodes/${node.name}`);
    const own = Object.entries(metadata.labels ?? {}).filter(([key]) => key.startsWith(prefix));
    return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]));
  }

  const become = (wanted: Readonly<Record<string, string>>): Promise<unknown> =>
    waitFor(async () => JSON.stringify(await labels()) === JSON.stringify(wanted), {
      what: `the labels ${JSON.stringify(wanted)}`,
      everyMs: 50,
    });

  it('SVC-33 a Service that this node provides is a label of the Node, dual stack too', async () => {
    const six = '20010db8000000000000000000000001';
    await objects.create({ name: 'web', vip: `${vip(1)},2001:db8::1` }, [node]);
    await become({ 'web.shop': `${vip(1)}_${six}` });
    await objects.patch('web', { metadata: { annotations: { 'kube-vip.io/loadbalancerIPs': vip(1) } } });
    await become({ 'web.shop': vip(1) });
    await objects.create({ name: 'api', vip: vip(2) }, [node]);
    await objects.delete('web');
    await become({ 'api.shop': vip(2) });
  });

  it('SVC-33 what a killed daemon left is removed by the next, and nothing is left on exit', async () => {
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
