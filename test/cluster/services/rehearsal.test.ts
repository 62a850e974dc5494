import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Monitor, waitFor } from '../../../lab/index.ts';
import { servicesOnly, stageOf, whySkipped, type Stage } from './stage.ts';

/** With 500 Services or fewer a take-over is short. */
const count = 501;
const vipOf = (n: number): string => `10.99.${n >> 8}.${n & 255}`;

describe('a node that stands by with many Services', { skip: whySkipped() }, () => {
  const env = { ...servicesOnly, vip_loglevel: '-4' };
  const stage = stageOf({ controlPlanes: 2, prepare, daemons: { env } });

  async function prepare({ objects, nodes }: Stage): Promise<void> {
    for (let n = 0; n < count; n++) await objects.create({ name: `web-${n}`, vip: vipOf(n) }, nodes);
  }

  it('rehearses what it stands by for, which nobody can see, and then takes over', async () => {
    const { cluster } = stage;
    const holder = await cluster.holder(vipOf(0));
    const other = stage.nodes.find((node) => node !== holder);
    assert.ok(other !== undefined);
    const monitor = await Monitor.start(other, 'address');
    const hasRehearsed = (node: typeof other): boolean =>
      cluster.daemon(node).log().includes('taking over has been rehearsed');
    await waitFor(() => hasRehearsed(other), {
      what: 'the rehearsal',
      timeoutMs: 60_000,
      detail: stage.tails,
    });
    assert.equal(hasRehearsed(holder), false, 'who holds has other things to do');
    assert.deepEqual(await monitor.stop(), []);
    assert.equal(await other.holds(vipOf(0)), false);
    await cluster.daemon(holder).stop();
    await waitFor(
      async () =>
        (await other.addresses()).filter(({ local = '' }) => /^10\.99\./.test(local)).length === count,
      {
        what: `${count} VIPs on the other node`,
        timeoutMs: 30_000,
        detail: stage.tails,
      },
    );
  });
});
