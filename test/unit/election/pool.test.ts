import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElection, createElectionPool } from '../../../src/election/index.ts';
import type { Election, ElectionPool } from '../../../src/election/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { recordOf } from '../../../src/testing/contract/election-subject.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { MemoryLease, memoryLeaseStore } from '../../../src/testing/memory-lease.ts';

const place = { namespace: 'kube-system', name: 'plndr-cp-lock' };

class Member {
  readonly story: string[] = [];
  readonly abort = new AbortController();
  readonly ended: Promise<void>;
  hasEnded = false;
  /** Set: what it withdraws takes until then. */
  gone: PromiseWithResolvers<undefined> | undefined;

  constructor(election: Election) {
    this.ended = election.run(
      {
        acquired: (fence) => this.story.push(`acquired ${String(fence.holds())}`),
        lost: (reason) => this.story.push(`lost: ${reason}`),
        withdrawn: () => this.gone?.promise,
      },
      this.abort.signal,
    );
    void this.ended.finally(() => (this.hasEnded = true)).catch(() => undefined);
  }
}

function world(): { pool: ElectionPool; lease: MemoryLease; clock: FakeClock; made: string[] } {
  const lease = new MemoryLease();
  const clock = new FakeClock();
  const made: string[] = [];
  const pool = createElectionPool(({ namespace, name }) => {
    made.push(`${namespace}/${name}`);
    return createElection(
      { store: memoryLeaseStore(lease), clock, random: () => 0, log: silentLogger },
      { identity: 'node-a', leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 },
    );
  });
  return { pool, lease, clock, made };
}

test('CP-80 control plane and services on the same lease share one election: both hold, or none', async () => {
  const { pool, lease, clock, made } = world();
  const controlPlane = new Member(pool.election(place));
  const services = new Member(pool.election({ ...place }));
  await clock.advance(500);
  assert.deepEqual(made, ['kube-system/plndr-cp-lock']);
  assert.deepEqual(controlPlane.story, ['acquired true']);
  assert.deepEqual(services.story, ['acquired true']);
  lease.put(recordOf('node-b'));
  assert.deepEqual(controlPlane.story.at(-1), 'lost: taken');
  assert.deepEqual(services.story.at(-1), 'lost: taken');
});

test('who leaves a shared election has ended when its VIPs are gone; the lease waits for those of all', async () => {
  const { pool, lease, clock } = world();
  const joined = (): Member => new Member(pool.election(place));
  const [first, second, third] = [joined(), joined(), joined()];
  const holder = (): string | undefined => lease.current?.record.holderIdentity;
  await clock.advance(500);
  for (const member of [first, second, third]) member.gone = Promise.withResolvers<undefined>();
  first.abort.abort();
  await clock.advance(100);
  assert.equal(first.hasEnded, false);
  first.gone?.resolve(undefined);
  await clock.advance(0);
  assert.equal(first.hasEnded, true);
  second.abort.abort();
  second.gone?.resolve(undefined);
  third.abort.abort();
  await clock.advance(100);
  assert.equal(holder(), 'node-a');
  third.gone?.resolve(undefined);
  await clock.advance(0);
  assert.equal(holder(), '');
});

test('different leases are different elections', () => {
  const { pool, made } = world();
  pool.election(place);
  pool.election({ ...place, name: 'plndr-svcs-lock' });
  pool.election({ ...place, namespace: 'other' });
  assert.equal(made.length, 3);
});

test('who joins a held lease holds at once; who leaves stops holding, and the others go on', async () => {
  const { pool, lease, clock } = world();
  const first = new Member(pool.election(place));
  await clock.advance(500);
  const second = new Member(pool.election(place));
  await clock.flush();
  assert.deepEqual(second.story, ['acquired true']);
  first.abort.abort();
  await first.ended;
  assert.deepEqual(first.story, ['acquired true', 'lost: released']);
  await clock.advance(3000);
  assert.equal(lease.current?.record.holderIdentity, 'node-a');
  assert.deepEqual(second.story, ['acquired true']);
});

test('the last to leave releases the record before its run ends, and the lease can be joined again', async () => {
  const { pool, lease, clock } = world();
  const first = new Member(pool.election(place));
  const second = new Member(pool.election(place));
  await clock.advance(500);
  first.abort.abort();
  second.abort.abort();
  assert.deepEqual([first.hasEnded, second.hasEnded], [false, false]);
  const third = new Member(pool.election(place));
  await clock.advance(0);
  await Promise.all([first.ended, second.ended]);
  assert.deepEqual(first.story, ['acquired true', 'lost: released']);
  assert.deepEqual(second.story, ['acquired true', 'lost: released']);
  await clock.advance(500);
  assert.deepEqual(third.story, ['acquired true']);
  assert.equal(lease.current?.record.leaseTransitions, 1, 'released in between');
});

test('a resignation by one member is one of all', async () => {
  const { pool, clock } = world();
  const seat = pool.election(place);
  const first = new Member(seat);
  const second = new Member(pool.election(place));
  await clock.advance(500);
  seat.resign('unhealthy', 1000);
  assert.equal(seat.status().isHolder, false);
  assert.deepEqual([first.story.at(-1), second.story.at(-1)], ['lost: resigned', 'lost: resigned']);
});

test('an election that fails, fails for all its members', async () => {
  const { pool, clock } = world();
  const good = new Member(pool.election(place));
  const ended = pool.election(place).run(
    {
      acquired: () => {
        throw new Error('no address today');
      },
      lost: () => undefined,
    },
    new AbortController().signal,
  );
  const both = Promise.allSettled([good.ended, ended]);
  await clock.advance(500);
  assert.deepEqual(
    (await both).map((each) => each.status),
    ['rejected', 'rejected'],
  );
});
