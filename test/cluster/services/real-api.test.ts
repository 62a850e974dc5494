import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kubeVipUser, waitFor, type Machine } from '../../../lab/index.ts';
import { namespace } from './objects.ts';
import { servicesOnly, stageOf, whySkipped } from './stage.ts';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const roleName = 'system:kube-vip-role';
const rule = (group: string, resources: readonly string[], verbs: string): object => {
  return { apiGroups: [group], resources, verbs: verbs.split(' ') };
};
/** kube-vip's own, without what is newer than it. */
const nodeRule = rule('', ['nodes'], 'list get watch update patch');
const namespacedRules = [
  rule('', ['services/status'], 'update'),
  rule('', ['services', 'endpoints'], 'list get watch update'),
  rule('coordination.k8s.io', ['leases'], 'list get watch update create'),
  rule('discovery.k8s.io', ['endpointslices'], 'list get watch update'),
];

describe('Services on real API servers', { skip: whySkipped() }, () => {
  const stage = stageOf({
    api: 'real',
    controlPlanes: 3,
    responders: true,
    daemons: {
      env: { svc_enable: 'true', svc_election: 'true' },
      // One holder dies below, and its leases with it.
      lease: { duration: 15, renewDeadline: 10, retryPeriod: 2 },
    },
  });
  const { vip } = stage;

  const leftIt = (node: Machine, address: string): Promise<unknown> =>
    waitFor(async () => !(await node.holds(address)), {
      what: `${address} to leave ${node.name}`,
      detail: stage.tails,
    });

  it('each Service has its holder by its own lease, with status and vipHost in one write', async () => {
    const { cluster, objects } = stage;
    await objects.create({ name: 'web', vip: `${vip(1)},${cluster.lab.plan.vip6(1)}` }, cluster.lab.nodes);
    const holder = await cluster.holder(vip(1));
    assert.equal(await objects.leaseHolder('kubevip-web'), holder.name);
    assert.deepEqual(await cluster.lab.holders(cluster.lab.plan.vip6(1)), [holder.name]);
    await stage.statusIs('web', [vip(1), cluster.lab.plan.vip6(1)]);
    const { metadata } = await objects.get('web');
    assert.equal(metadata.annotations?.['kube-vip.io/vipHost'], holder.name);
    assert.equal(
      metadata.annotations['kube-vip.io/loadbalancerIPs'],
      `${vip(1)},${cluster.lab.plan.vip6(1)}`,
    );
  });

  it('the Service and the control plane keep their holders apart', async () => {
    const { cluster, objects } = stage;
    const planeHolder = await cluster.holder(vip(0));
    assert.equal(await cluster.leaseHolder(), planeHolder.name);
    await objects.create({ name: 'thief', vip: vip(0) }, cluster.lab.nodes);
    await waitFor(
      async () => (await objects.events('thief')).some(({ reason }) => reason === 'AddressInUse'),
      {
        what: 'an Event that says why',
      },
    );
    assert.deepEqual(await cluster.lab.holders(vip(0)), [planeHolder.name]);
    await objects.delete('thief');
  });

  it('a shared VIP stays on its node when the older Service is deleted: no packet is lost', async () => {
    const { cluster, objects } = stage;
    await objects.create({ name: 'old', vip: vip(2) }, cluster.lab.nodes);
    await cluster.holder(vip(2));
    // creationTimestamp has seconds: the names would decide otherwise.
    await objects.create({ name: 'young', vip: vip(2), port: 81 }, cluster.lab.nodes);
    await stage.statusIs('young', [vip(2)]);
    const holder = await cluster.holder(vip(2));
    await stage.undisturbed(vip(2), holder, async () => {
      await objects.delete('old');
      await waitFor(async () => (await objects.leaseHolder('kubevip-young')) === holder.name, {
        what: 'the hand-over to the lease of the other',
      });
      await waitFor(async () => (await objects.leaseHolder('kubevip-old')) === '', { what: 'the release' });
    });
    await objects.delete('young');
    await leftIt(holder, vip(2));
  });

  it('a holder that dies is followed by another, and vipHost with it', async () => {
    const { cluster } = stage;
    const holder = await cluster.holder(vip(1));
    await cluster.powerOff(holder);
    // What is powered off still has its addresses, but no cable.
    const next = await waitFor(
      async () => (await cluster.lab.holders(vip(1))).find((name) => name !== holder.name),
      { what: 'another holder', timeoutMs: 90_000, detail: stage.tails },
    );
    await stage.vipHostIs('web', next);
    await cluster.powerOn(holder);
  });

  it('a Local Service is held where its endpoint is', async () => {
    const { cluster, objects } = stage;
    const [a, b] = cluster.lab.controlPlanes;
    assert.ok(a !== undefined && b !== undefined);
    await objects.create({ name: 'local', vip: vip(3), policy: 'Local' }, [a]);
    assert.equal((await cluster.holder(vip(3))).name, a.name);
    await objects.setEndpoints('local', [b]);
    await leftIt(a, vip(3));
    assert.equal((await cluster.holder(vip(3))).name, b.name);
  });

  it('a VIP survives all API servers going away and coming back, without a restart of the manager', async () => {
    const { cluster, objects } = stage;
    const pids = stage.daemons.map(({ process }) => process.pid);
    await cluster.api.takeAway();
    await cluster.api.bringBack();
    await objects.create({ name: 'after', vip: vip(4) }, cluster.lab.nodes);
    await cluster.holder(vip(4));
    await cluster.holder(vip(1));
    await objects.delete('after');
    await stage.gone(vip(4));
    assert.deepEqual(
      stage.daemons.map(({ process }) => process.pid),
      pids,
    );
  });

  it('SVC-36 the role that kube-vip is known to need is enough: no patch of a status, no Events', async () => {
    const { cluster, objects } = stage;
    const rules = [...namespacedRules, nodeRule, rule('', ['pods'], 'list')];
    await cluster.api.client.patch(`${rbac}/clusterroles/${roleName}`, { rules });
    await objects.create({ name: 'known', vip: vip(5) }, cluster.lab.nodes);
    const holder = await cluster.holder(vip(5));
    await stage.statusIs('known', [vip(5)]);
    const { metadata } = await objects.get('known');
    assert.equal(metadata.annotations?.['kube-vip.io/vipHost'], holder.name);
    await objects.delete('known');
    await stage.gone(vip(5));
  });

  it('SVC-03 svc_namespace with a Role in that namespace: its Services and no others, nothing is forbidden', async () => {
    const { cluster, objects } = stage;
    const { client } = cluster.api;
    await client.patch(`${rbac}/clusterroles/${roleName}`, { rules: [nodeRule] });
    const roles = `${rbac}/namespaces/${namespace}`;
    const metadata = { name: 'kube-vip', namespace };
    const shared = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata };
    await client.create(`${roles}/roles`, { ...shared, kind: 'Role', rules: namespacedRules });
    await client.create(`${roles}/rolebindings`, {
      ...{ ...shared, kind: 'RoleBinding' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
      subjects: [{ kind: 'User', name: kubeVipUser, apiGroup: 'rbac.authorization.k8s.io' }],
    });
    await Promise.all(stage.daemons.map((daemon) => daemon.stop()));
    await client.create('/api/v1/namespaces/default/services', {
      ...{ apiVersion: 'v1', kind: 'Service' },
      metadata: {
        name: 'outside',
        annotations: {
          'kube-vip.io/loadbalancerIPs': vip(6),
          'kube-vip.io/allow-reconcile-without-endpoints': 'true',
        },
      },
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
    });
    const env = { ...servicesOnly, svc_election: 'true', svc_namespace: namespace };
    await cluster.startDaemons(stage.defaults({ env }));
    await objects.create({ name: 'inside', vip: vip(5) }, cluster.lab.nodes);
    const holder = await cluster.holder(vip(5));
    await stage.statusIs('inside', [vip(5)]);
    assert.equal(await objects.leaseHolder('kubevip-inside'), holder.name);
    assert.deepEqual(await cluster.lab.holders(vip(6)), []);
    const troubles = async (): Promise<readonly string[]> => {
      const pages = await Promise.all(stage.nodes.map((node) => stage.page('/status', node)));
      return pages.flatMap((page) => {
        const { watches } = JSON.parse(page) as {
          watches: readonly { readonly resource: string; readonly lastError?: string }[];
        };
        return watches.flatMap(({ resource, lastError }) =>
          lastError === undefined ? [] : [`${resource}: ${lastError}`],
        );
      });
    };
    // Forbidden once is forbidden always; an answer that was late on a busy machine is made up for.
    await waitFor(async () => (await troubles()).length === 0, {
      what: 'watches without an error',
      detail: stage.tails,
    });
  });
});
