import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HolderWatch, waitFor, type Machine } from '../../../lab/index.ts';
import { namespace } from './objects.ts';
import { servicesOnly, stageOf, whySkipped } from './stage.ts';

describe('an address that another lease decides about', { skip: whySkipped() }, () => {
  const stage = stageOf({
    controlPlanes: 2,
    daemons: {
      env: { ...servicesOnly, svc_election: 'true' },
      // Short enough to be waited for, and far enough apart for a node that stands still for some seconds.
      lease: { duration: 12, renewDeadline: 6, retryPeriod: 1 },
    },
  });
  const { vip } = stage;

  const isOn = (n: number, node: Machine): Promise<unknown> =>
    waitFor(async () => (await stage.cluster.lab.holders(vip(n))).join() === node.name, {
      what: `${vip(n)} on ${node.name} alone`,
      timeoutMs: 60_000,
      everyMs: 50,
      detail: stage.tails,
    });

  /** Each Service can be on one node only: `first` with VIP 1 on one, `second` with VIP 2 on the other. */
  async function setUp(): Promise<readonly [Machine, Machine]> {
    const { objects, nodes } = stage;
    const [one, other] = nodes;
    assert.ok(one !== undefined && other !== undefined);
    await objects.create({ name: 'first', vip: vip(1), policy: 'Local' }, [one]);
    await objects.create({ name: 'second', vip: vip(2), policy: 'Local' }, [other]);
    await isOn(1, one);
    await isOn(2, other);
    return [one, other];
  }

  const transitions = async (): Promise<number> => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/kubevip-second`;
    const { spec } = await stage.cluster.api.client.get<{ spec: { leaseTransitions: number } }>(path);
    return spec.leaseTransitions;
  };

  const takeAddress = (): Promise<unknown> =>
    stage.objects.patch('first', { metadata: { annotations: { 'kube-vip.io/loadbalancerIPs': vip(2) } } });

  it('changes nodes in a moment, and is never on two', async (t) => {
    const { cluster, objects } = stage;
    const [one] = await setUp();
    const watch = await HolderWatch.start(cluster.lab, vip(2));
    try {
      await takeAddress();
      await objects.delete('second');
      await isOn(2, one);
      const report = await watch.stop();
      assert.equal(report.twoHoldersMs, 0);
      t.diagnostic(`on no node for ${report.longestNoHolderMs.toFixed(1)} ms`);
    } finally {
      await watch.kill();
    }
    await objects.delete('first');
  });

  it('is not on two nodes when one of them comes back with an old copy of the Services', async (t) => {
    const { cluster, objects } = stage;
    const [one, other] = await setUp();
    const watch = await HolderWatch.start(cluster.lab, vip(2));
    try {
      await other.cable.blackholeApi(cluster.api.port);
      await takeAddress();
      await objects.delete('second');
      await isOn(2, one);
      await waitFor(async () => (await objects.leaseHolder('kubevip-second')) === '', {
        what: 'the heir to let the former lease go',
        timeoutMs: 60_000,
        detail: stage.tails,
      });
      const before = await transitions();
      // Its calls get through again, its watch does not: what it knows stays old.
      await cluster.embedded.command({
        do: 'fail',
        match: { verb: 'watch', path: '/api/v1/services' },
        effect: { status: 503, reason: 'ServiceUnavailable' },
      });
      await other.cable.restoreApi();
      // For some milliseconds only.
      await waitFor(async () => (await transitions()) > before, {
        what: 'the old lease to be taken by the node that knows of no other',
        timeoutMs: 60_000,
        detail: stage.tails,
      });
      await waitFor(async () => (await objects.leaseHolder('kubevip-second')) === '', {
        what: 'the list to be read',
        timeoutMs: 60_000,
        detail: stage.tails,
      });
      const report = await watch.stop();
      assert.equal(report.twoHoldersMs, 0);
      t.diagnostic(`on no node for ${report.longestNoHolderMs.toFixed(1)} ms, while its holder was cut off`);
    } finally {
      await cluster.embedded.command({ do: 'clear' });
      await watch.kill();
    }
  });
});
