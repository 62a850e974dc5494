import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, ensurePrivilege, waitFor } from '../../../lab/index.ts';

const refused = ensurePrivilege();
const clusterRoleBindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
const lease = { duration: 15, renewDeadline: 10, retryPeriod: 1 };
/** retry × 2.2, one call, and the time to put the address on where the processor is shared: less than a lease. */
const takeOverMs = lease.retryPeriod * 2200 + 8000;

interface Binding {
  readonly metadata: { readonly name: string };
  readonly subjects?: readonly { readonly name: string }[];
}

describe('bootstrap of a control-plane VIP on real API servers', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let vip: string;

  before(async () => {
    cluster = await Cluster.start({ api: 'real', controlPlanes: 3 });
    vip = cluster.lab.plan.vip(0);
  });
  after(async () => {
    await cluster.stop();
  });

  afterEach(async () => {
    await Promise.all([...cluster.daemons.values()].map((daemon) => daemon.stop()));
    await waitFor(async () => (await cluster.lab.holders(vip)).length === 0, { what: 'no VIP' });
  });

  it('CP-65 the API server is down at start: the process stays, retries, and takes the VIP soon after it answers', async () => {
    await cluster.api.takeAway();
    const daemon = cluster.startDaemon(cluster.lab.node(0), { lease, options: { supervise: false } });
    await waitFor(() => daemon.log().includes('lease read failed, retrying'), { what: 'a failed read' });
    await sleep(1500);
    assert.equal(daemon.process.alive, true);
    await cluster.api.bringBack();
    const back = Date.now();
    await cluster.holder();
    assert.ok(Date.now() - back < takeOverMs, `${Date.now() - back} ms`);
  });

  it('CP-66 403 on leases: it keeps trying and succeeds once the rights exist; rights revoked later cost the VIP, not the process', async () => {
    const { body } = await cluster.api.client.ask('GET', clusterRoleBindings);
    const bindings = (JSON.parse(body) as { items: readonly Binding[] }).items;
    const binding = bindings.find(
      ({ subjects }) => subjects?.some(({ name }) => name.includes('kube-vip')) === true,
    );
    assert.ok(binding !== undefined);
    await cluster.api.client.delete(`${clusterRoleBindings}/${binding.metadata.name}`);
    const daemon = cluster.startDaemon(cluster.lab.node(0), { lease, options: { supervise: false } });
    await waitFor(() => /forbidden/i.test(daemon.log()), { what: 'a message about the missing right' });
    assert.equal(daemon.process.alive, true);
    const { metadata, ...rest } = binding;
    await cluster.api.client.create(clusterRoleBindings, { ...rest, metadata: { name: metadata.name } });
    const given = Date.now();
    await cluster.holder();
    assert.ok(Date.now() - given < takeOverMs, `${Date.now() - given} ms`);

    await cluster.api.client.delete(`${clusterRoleBindings}/${metadata.name}`);
    await waitFor(async () => (await cluster.lab.holders(vip)).length === 0, {
      what: 'the VIP to go',
    });
    assert.equal(daemon.process.alive, true);
    await cluster.api.client.create(clusterRoleBindings, { ...rest, metadata: { name: metadata.name } });
    await cluster.holder();
  });

  it('CP-67 all nodes cold-started together: exactly one takes the VIP', async () => {
    await cluster.deleteLease();
    await cluster.api.takeAway();
    for (const node of cluster.lab.controlPlanes) cluster.startDaemon(node, { lease });
    await cluster.api.bringBack();
    await cluster.holder();
    await sleep(2000);
    assert.equal((await cluster.lab.holders(vip)).length, 1);
  });
});
