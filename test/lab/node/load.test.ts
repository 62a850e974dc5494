import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ensurePrivilege, waitFor } from '../../../lab/index.ts';
import type { Kernel } from '../../../src/linux/index.ts';
import type { SpecStatus } from '../../../src/node/index.ts';
import { holding, manyVips, setStage, type Stage } from './stage.ts';

const refused = ensurePrivilege();

/**
 * One hand-over of specs and one piece of the backlog may fall into the same turn of the event loop;
 * neither is more than 256.
 */
const mostInOneTurn = 512;

/** Counts the addresses that are written between two turns of the event loop, and keeps the most. */
function countWrites(kernel: Pick<Kernel, 'setAddresses'>): { most: number; total: number } {
  const count = { most: 0, total: 0 };
  const set = kernel.setAddresses.bind(kernel);
  let inTurn = 0;
  kernel.setAddresses = (requests) => {
    if (inTurn === 0) setImmediate(() => (inTurn = 0));
    inTurn += requests.length;
    count.total += requests.length;
    count.most = Math.max(count.most, inTurn);
    return set(requests);
  };
  return count;
}

describe('many VIPs on the real kernel', { skip: refused?.because ?? false }, () => {
  let stage: Stage;

  before(async () => {
    stage = await setStage();
  });
  after(async () => {
    await stage.stop();
  });

  for (const count of [1000, 10_000]) {
    it(`${count} VIPs are published and announced in turns that end`, async () => {
      const node = stage.node();
      const writes = countWrites(stage.kernel);
      node.publish('control-plane', holding(manyVips(count)));
      assert.ok(writes.total > 0 && writes.total <= mostInOneTurn, `${writes.total} on return`);
      const isDone = ({ state, spec, last }: SpecStatus): boolean =>
        state.state === 'ready' && (spec.kind === 'address' || last?.what === 'sent');
      await waitFor(() => node.status().every(isDone), {
        what: 'every VIP to be on the link and announced',
        everyMs: 200,
        timeoutMs: 120_000,
      });
      // Routes may stand in for the last of them (ADR 11).
      await waitFor(() => !node.isBusy(), { what: 'every VIP to be an address', timeoutMs: 120_000 });
      assert.equal(writes.total, count);
      assert.ok(writes.most <= mostInOneTurn, `${writes.most} addresses in one turn`);
      node.withdraw('control-plane');
      const left = (await stage.kernel.addresses()).filter(({ protocol }) => protocol === 248);
      assert.deepEqual(left, []);
    });
  }
});
