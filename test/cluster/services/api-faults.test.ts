import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor } from '../../../lab/index.ts';
import { Objects } from './objects.ts';

const refused = ensurePrivilege();

const reads = ['list', 'watch'] as const;
/** What the daemons list and watch over all namespaces; the lab's own requests name the namespace. */
const watched = ['/api/v1/services', '/apis/discovery.k8s.io/v1/endpointslices'];

describe('Services, while the API server misbehaves', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let objects: Objects;
  let pids: readonly number[];
  const vip = (n: number): string => cluster.lab.plan.vip(n);
  const pidsNow = (): readonly number[] => [...cluster.daemons.values()].map(({ process }) => process.pid);

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    objects = await Objects.in(cluster);
    await cluster.startDaemons({
      env: { cp_enable: 'false', address: '', svc_enable: 'true' },
      // No test here is about losing the lease.
      lease: { duration: 30, renewDeadline: 20, retryPeriod: 2 },
    });
    pids = pidsNow();
  });
  after(async () => {
    await cluster.stop();
  });

  /** The VIPs from 1 on that exactly one node has. */
  const state = async (count: number): Promise<string> => {
    const held = await Promise.all(Array.from({ length: count }, (_, n) => cluster.lab.holders(vip(n + 1))));
    return held.map((holders) => holders.length).join('');
  };

  /** One digit a VIP: on how many nodes it is. */
  const becomes = (wanted: string): Promise<unknown> =>
    waitFor(async () => (await state(wanted.length)) === wanted, {
      what: `VIPs on ${wanted} nodes`,
      timeoutMs: 20_000,
      everyMs: 50,
      detail: () => [...cluster.daemons.values()].map(({ process }) => process.tail()).join('\n'),
    });

  const block = async (status: number, reason: string): Promise<void> => {
    for (const path of watched)
      await cluster.embedded.command({
        do: 'fail',
        match: { verb: reads, path },
        effect: { status, reason },
      });
    await cluster.embedded.command({ do: 'end-watches' });
  };

  /** Until the daemons have run into the faults so many times more. */
  async function untilHit(more: number): Promise<void> {
    const before = await cluster.embedded.command({ do: 'hits' });
    await waitFor(async () => (await cluster.embedded.command({ do: 'hits' })) >= before + more, {
      what: `${more} refusals`,
      timeoutMs: 20_000,
    });
  }

  it('a storm of 403: what stands stays, what changed meanwhile is made up for', async () => {
    await objects.create({ name: 'one', vip: vip(1) }, cluster.lab.nodes);
    await objects.create({ name: 'two', vip: vip(2) }, cluster.lab.nodes);
    await becomes('110');
    await block(403, 'Forbidden');
    await untilHit(8);
    await objects.delete('two');
    await objects.create({ name: 'three', vip: vip(3) }, cluster.lab.nodes);
    await untilHit(4);
    assert.equal(await state(3), '110');
    await cluster.embedded.command({ do: 'clear' });
    await becomes('101');
    assert.deepEqual(pidsNow(), pids);
  });

  it('SVC-23 a deletion that was missed and forgotten (410) is made up for', async () => {
    await block(503, 'ServiceUnavailable');
    await untilHit(4);
    await objects.delete('three');
    await objects.create({ name: 'two', vip: vip(2) }, cluster.lab.nodes);
    await cluster.embedded.command({ do: 'compact' });
    assert.equal(await state(3), '101');
    await cluster.embedded.command({ do: 'clear' });
    await becomes('110');
    assert.deepEqual(pidsNow(), pids);
  });

  it('connections that go silent are noticed', async () => {
    for (const node of cluster.lab.nodes) await node.cable.silenceConnections(cluster.api.port);
    await objects.delete('one');
    await objects.create({ name: 'three', vip: vip(3) }, cluster.lab.nodes);
    await becomes('011');
    assert.deepEqual(pidsNow(), pids);
  });

  it('watches that hear nothing any more, on connections that answer, are noticed', async () => {
    await cluster.embedded.command({ do: 'silence-watches' });
    await objects.delete('two');
    await objects.create({ name: 'one', vip: vip(1) }, cluster.lab.nodes);
    assert.equal(await state(3), '011');
    await becomes('101');
    assert.deepEqual(pidsNow(), pids);
  });
});
