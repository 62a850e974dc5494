import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, HolderWatch, Prober, waitFor } from '../../../lab/index.ts';

const refused = ensurePrivilege();

describe('an update of the daemon, node by node', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({ api: 'real', controlPlanes: 3 });
    await cluster.startResponders();
    await cluster.startDaemons({ lease: { duration: 15, renewDeadline: 10, retryPeriod: 2 } });
  });
  after(async () => {
    await cluster.stop();
  });

  /** Does the API server behind the VIP say that it is ready, to a machine outside the control plane? */
  async function answersThroughVip(vip: string): Promise<boolean> {
    const ask = ['-sk', '--max-time', '2', `https://${vip}:6443/readyz`];
    const { stdout } = await cluster.lab.client.tryRun('curl', ask);
    return stdout === 'ok';
  }

  it('CP-211 costs one take-over for each node at most, and the API is reachable through the VIP', async () => {
    const vip = cluster.lab.plan.vip(0);
    await cluster.holder(vip);
    const watch = await HolderWatch.start(cluster.lab, vip);
    const prober = await Prober.start(cluster.lab.client, vip);
    try {
      await prober.answering();
      for (const node of cluster.lab.controlPlanes) {
        const daemon = cluster.daemon(node);
        await daemon.stop();
        await prober.answering();
        assert.ok(await answersThroughVip(vip), `while ${node.name} is without its daemon`);
        daemon.startAgain();
        await daemon.waitReady();
        await waitFor(() => answersThroughVip(vip), { what: 'the API server behind the VIP' });
      }
      await watch.flush();
      const { segments, longestTwoHoldersMs } = watch.report();
      const holders = segments.map(({ holders }) => holders.join('+')).filter((names) => names !== '');
      assert.ok(holders.length - 1 <= cluster.lab.controlPlanes.length, holders.join(' → '));
      assert.ok(longestTwoHoldersMs <= 2, `two holders for ${longestTwoHoldersMs} ms`);
      const { gaps } = await prober.report();
      const long = gaps.filter(({ from, to }) => to - from > 1500);
      assert.deepEqual(long, [], 'a node that goes leaves the lease to the next one');
    } finally {
      await prober.kill();
      await watch.kill();
    }
  });
});
