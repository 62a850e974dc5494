import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, HolderWatch, waitFor, type Daemon } from '../../../lab/index.ts';

const refused = ensurePrivilege();

/** Loaded into the daemon: an error from nowhere on SIGUSR2, as a bug in some callback would make it. */
const bug = (what: string): string =>
  `--import=data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2',()=>{${what}})`)}`;

describe('an error that nobody expected', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let vip: string;

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    vip = cluster.lab.plan.vip(0);
  });
  after(async () => {
    await cluster.stop();
  });

  const lease = { duration: 15, renewDeadline: 10, retryPeriod: 2 };

  /** The first node holds, the second follows. */
  async function withBoth(what: string, body: (holder: Daemon, watch: HolderWatch) => Promise<void>) {
    const [first, second] = [cluster.lab.node(0), cluster.lab.node(1)];
    await cluster.withDaemon(first, { lease, env: { NODE_OPTIONS: bug(what) } }, async (holder) => {
      await waitFor(() => first.holds(vip), { what: 'the VIP', timeoutMs: 15_000 });
      await cluster.withDaemon(second, { lease }, async (follower) => {
        await follower.waitReady();
        const watch = await HolderWatch.start(cluster.lab, vip);
        try {
          await body(holder, watch);
        } finally {
          await watch.kill();
        }
      });
    });
    await cluster.deleteLease();
  }

  for (const [title, what] of [
    ['thrown', "throw new Error('a bug')"],
    ['rejected', "void Promise.reject(new Error('a bug'))"],
  ] as const)
    it(`${title}: the VIP goes first, the lease is given back, the process ends with status 1`, async () => {
      await withBoth(what, async (holder, watch) => {
        process.kill(holder.process.pid, 'SIGUSR2');
        const exit = await holder.process.untilExit();
        assert.equal(exit.code, 1);
        assert.match(holder.log(), /ERROR an error that nobody expected: the VIPs are gone/);
        assert.match(holder.log(), /^Error: Error: a bug$/m);
        const [first, second] = [cluster.lab.node(0), cluster.lab.node(1)];
        assert.equal(await first.holds(vip), false);
        await waitFor(() => second.holds(vip), { what: 'the next holder', timeoutMs: 5000 });
        await watch.flush();
        assert.ok(watch.report().longestTwoHoldersMs <= 2);
      });
    });

  it('again and again: the process ends at once', async () => {
    await withBoth("setInterval(()=>{throw new Error('a bug')},1)", async (holder) => {
      process.kill(holder.process.pid, 'SIGUSR2');
      assert.equal((await holder.process.untilExit()).code, 1);
      assert.equal(await cluster.lab.node(0).holds(vip), false);
    });
  });
});
