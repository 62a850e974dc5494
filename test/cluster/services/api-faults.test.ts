import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waitFor } from '../../../lab/index.ts';
import { servicesOnly, stageOf, whySkipped } from './stage.ts';

const reads = ['list', 'watch'] as const;
/** What the daemons list and watch over all namespaces; the lab's own requests name the namespace. */
const watched = ['/api/v1/services', '/apis/discovery.k8s.io/v1/endpointslices'];

describe('Services, while the API server misbehaves', { skip: whySkipped() }, () => {
  const stage = stageOf({ controlPlanes: 2, daemons: { env: servicesOnly } });
  const pids = (): readonly number[] => stage.daemons.map(({ process }) => process.pid);

  /** One digit a VIP from 1 on: on how many nodes it is. */
  const state = async (count: number): Promise<string> => {
    const { lab } = stage.cluster;
    const held = await Promise.all(Array.from({ length: count }, (_, n) => lab.holders(stage.vip(n + 1))));
    return held.map((holders) => holders.length).join('');
  };

  const becomes = (wanted: string): Promise<unknown> =>
    waitFor(async () => (await state(wanted.length)) === wanted, {
      what: `VIPs on ${wanted} nodes`,
      timeoutMs: 60_000,
      everyMs: 50,
      detail: stage.tails,
    });

  const block = async (status: number, reason: string): Promise<void> => {
    const { embedded } = stage.cluster;
    for (const path of watched)
      await embedded.command({ do: 'fail', match: { verb: reads, path }, effect: { status, reason } });
    await embedded.command({ do: 'end-watches' });
  };

  /** Until the daemons have run into the faults so many times more. */
  async function untilHit(more: number): Promise<void> {
    const { embedded } = stage.cluster;
    const before = await embedded.command({ do: 'hits' });
    await waitFor(async () => (await embedded.command({ do: 'hits' })) >= before + more, {
      what: `${more} refusals`,
      timeoutMs: 60_000,
    });
  }

  it('a storm of 403: what stands stays, what changed meanwhile is made up for', async () => {
    const { cluster, objects, nodes } = stage;
    const before = pids();
    await objects.create({ name: 'one', vip: stage.vip(1) }, nodes);
    await objects.create({ name: 'two', vip: stage.vip(2) }, nodes);
    await becomes('110');
    await block(403, 'Forbidden');
    await untilHit(8);
    await objects.delete('two');
    await objects.create({ name: 'three', vip: stage.vip(3) }, nodes);
    await untilHit(4);
    assert.equal(await state(3), '110');
    await cluster.embedded.command({ do: 'clear' });
    await becomes('101');
    assert.deepEqual(pids(), before);
  });

  it('SVC-23 a deletion that was missed and forgotten (410) is made up for', async () => {
    const { cluster, objects, nodes } = stage;
    const before = pids();
    await block(503, 'ServiceUnavailable');
    await untilHit(4);
    await objects.delete('three');
    await objects.create({ name: 'two', vip: stage.vip(2) }, nodes);
    await cluster.embedded.command({ do: 'compact' });
    assert.equal(await state(3), '101');
    await cluster.embedded.command({ do: 'clear' });
    await becomes('110');
    assert.deepEqual(pids(), before);
  });

  it('connections that go silent are noticed', async () => {
    const { cluster, objects, nodes } = stage;
    const before = pids();
    for (const node of nodes) await node.cable.silenceConnections(cluster.api.port);
    await objects.delete('one');
    await objects.create({ name: 'three', vip: stage.vip(3) }, nodes);
    await becomes('011');
    assert.deepEqual(pids(), before);
  });

  it('watches that hear nothing any more, on connections that answer, are noticed', async () => {
    const { cluster, objects, nodes } = stage;
    const before = pids();
    const said = stage.daemons.map((daemon) => daemon.log().length);
    await cluster.embedded.command({ do: 'silence-watches' });
    await objects.delete('two');
    await objects.create({ name: 'one', vip: stage.vip(1) }, nodes);
    await becomes('101');
    // One that was about to end, and be opened again, may have missed nothing. Some of each daemon's have.
    const noticed = /cannot follow .*not ended within/;
    await waitFor(() => stage.daemons.every((daemon, i) => noticed.test(daemon.log().slice(said[i]))), {
      what: 'both to notice',
      timeoutMs: 60_000,
      detail: stage.tails,
    });
    assert.deepEqual(pids(), before);
  });
});
