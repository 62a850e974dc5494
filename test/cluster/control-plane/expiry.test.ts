import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Cluster, ensurePrivilege, HolderWatch, waitFor, type LeaseTimes } from '../../../lab/index.ts';

const refused = ensurePrivilege();
/** A tenure of 8 s leaves the kernel, which counts in seconds, 2 s until anybody else may hold. */
const lease: LeaseTimes = { duration: 10, renewDeadline: 8, retryPeriod: 1 };

describe('vip_expire_with_lease', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
  });
  after(async () => {
    await cluster.stop();
  });

  for (const [signal, what] of [
    ['SIGSTOP', 'is stopped'],
    ['SIGKILL', 'is dead and nobody restarts it'],
  ] as const) {
    it(`the VIP of a process that ${what} is never on two nodes`, async (t: TestContext) => {
      const { lab } = cluster;
      const vips = [lab.plan.vip(0), lab.plan.vip6(0)];
      const env = { vip_expire_with_lease: 'true', address: vips.join(',') };
      await cluster.startDaemons({ lease, env, options: { supervise: false } });
      const holder = await cluster.holder();
      const watches = await Promise.all(vips.map((vip) => HolderWatch.start(lab, vip)));
      try {
        const at = Date.now();
        cluster.daemon(holder).signal(signal);
        for (const vip of vips)
          await waitFor(async () => (await lab.holders(vip)).some((name) => name !== holder.name), {
            what: `another holder of ${vip}`,
            timeoutMs: 60_000,
          });
        for (const watch of watches) {
          await watch.flush();
          const { events, twoHoldersMs } = watch.report();
          const dropped = events.find(
            (event) => event.node === holder.name && !event.present && event.at > at,
          );
          assert.ok(dropped !== undefined);
          t.diagnostic(`off its link ${(dropped.at - at).toFixed(0)} ms after ${signal}`);
          assert.equal(twoHoldersMs, 0);
        }
      } finally {
        for (const watch of watches) await watch.kill();
        cluster.daemon(holder).signal('SIGCONT');
        for (const node of lab.controlPlanes) {
          const daemon = cluster.daemon(node);
          if (daemon.process.alive) await daemon.stop(25_000);
        }
        await cluster.deleteLease();
      }
    });
  }
});
