import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import {
  Cluster,
  ensurePrivilege,
  oneWithin,
  Prober,
  waitFor,
  type LeaseTimes,
  type Machine,
} from '../../../lab/index.ts';

const refused = ensurePrivilege();
const lease: LeaseTimes = { duration: 4, renewDeadline: 3, retryPeriod: 1 };
/** Detection of duplicates takes one to two seconds. */
const WITHOUT_DETECTION_MS = 700;

describe('an IPv6 VIP that changes the node', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let vip: string;

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    vip = cluster.lab.plan.vip6(0);
    await cluster.startResponders();
    await cluster.startDaemons({ vip, lease, options: { supervise: false } });
  });
  after(async () => {
    await cluster.stop();
  });

  /** The flags of the VIP on the node that has it next. */
  async function flagsAfter(before: Machine): Promise<Readonly<Record<string, unknown>>> {
    const next = cluster.lab.nodes.find((node) => node !== before);
    assert.ok(next !== undefined);
    return waitFor(async () => (await next.addresses()).find(({ local }) => local === vip), {
      what: `${next.name} to have the VIP`,
    });
  }

  it('CP-93 waits for no duplicate address detection when its holder gave it up in good order', async (t: TestContext) => {
    const gaps = await oneWithin(WITHOUT_DETECTION_MS, async () => {
      const holder = await cluster.holder(vip);
      await waitFor(() => cluster.lab.client.ping(vip), { what: 'an answer before anything is measured' });
      const prober = await Prober.start(cluster.lab.client, vip);
      try {
        assert.equal(await prober.answering(), holder.name);
        await cluster.daemon(holder).stop();
        const { nodad, tentative } = await flagsAfter(holder);
        assert.deepEqual({ nodad, tentative }, { nodad: true, tentative: undefined });
        await prober.answering();
        return (await prober.report()).longestGapMs;
      } finally {
        await prober.kill();
        cluster.daemon(holder).startAgain();
        await cluster.daemon(holder).waitReady();
      }
    });
    t.diagnostic(`gap ${gaps.join(', ')} ms`);
  });

  it('CP-93 and does where the lease of its holder ran out: that one may still have it', async () => {
    const holder = await cluster.holder(vip);
    await cluster.daemon(holder).kill();
    assert.equal((await flagsAfter(holder))['nodad'], undefined);
    await cluster
      .daemon(holder)
      .stop()
      .catch(() => undefined);
  });
});
