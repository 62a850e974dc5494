import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElection, StoreError } from '../../../src/election/index.ts';
import type { Election, ElectionStep, LeaseStore } from '../../../src/election/index.ts';
import type { Fence } from '../../../src/lib/fence.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { recordOf } from '../../../src/testing/contract/election-subject.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { loggerTo } from '../../../src/testing/logger.ts';
import { MemoryLease, memoryLeaseStore } from '../../../src/testing/memory-lease.ts';

interface Rig {
  readonly lease: MemoryLease;
  readonly clock: FakeClock;
  /** `level | message | reason, error or holder` of each line above debug. */
  readonly logged: string[];
  readonly story: string[];
  readonly steps: ElectionStep[];
  readonly election: Election;
  readonly abort: AbortController;
  /** Written to the record so far, in order: `update:node-a`. */
  readonly writes: string[];
  fence: Fence | undefined;
  ended: Promise<void>;
  /** How calls go from now on. */
  trouble: 'none' | 'stall' | StoreError;
}

interface RigOptions {
  readonly onAcquired?: () => void;
  readonly onLost?: () => void;
  readonly withdrawn?: () => Promise<void> | undefined;
  /** Each claim of a free record comes too late. */
  readonly isSlow?: boolean;
}

function rig(options: RigOptions = {}): Rig {
  const lease = new MemoryLease();
  const clock = new FakeClock();
  const logged: string[] = [];
  const log = loggerTo((level, message, { reason, error, holder }) => {
    const rest = [reason, error, holder].filter((each) => each !== undefined).map(String);
    if (level !== 'debug') logged.push([level, message, ...rest].join(' | '));
  });
  const story: string[] = [];
  const writes: string[] = [];
  const steps: ElectionStep[] = [];
  const plain = memoryLeaseStore(lease, {
    before: async () => {
      if (made.trouble === 'stall') await new Promise(() => undefined);
      else if (made.trouble !== 'none') throw made.trouble;
    },
  });
  const store: LeaseStore = {
    ...plain,
    create: (record, call) =>
      options.isSlow === true
        ? Promise.reject(new StoreError('already-exists', 'leases "vip" already exists'))
        : plain.create(record, call),
    update: (base, record, call) => {
      writes.push(`update:${record.holderIdentity}`);
      story.push(`write: ${record.holderIdentity === '' ? 'release' : 'claim'}`);
      return plain.update(base, record, call);
    },
  };
  const election = createElection(
    { store, clock, random: () => 0, log, observer: { stepped: (step) => steps.push(step) } },
    { identity: 'node-a', leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 },
  );
  const made: Rig = {
    lease,
    clock,
    logged,
    story,
    steps,
    election,
    writes,
    abort: new AbortController(),
    fence: undefined,
    ended: Promise.resolve(),
    trouble: 'none',
  };
  made.ended = election.run(
    {
      acquired: (fence) => {
        made.fence = fence;
        story.push('acquired');
        options.onAcquired?.();
      },
      lost: (reason) => {
        story.push(`lost: ${reason}, fence ${String(made.fence?.holds())}`);
        options.onLost?.();
      },
      observed: (holder) => story.push(`observed: ${holder}`),
      withdrawn: () => options.withdrawn?.(),
    },
    made.abort.signal,
  );
  return made;
}

test('the story of a life: acquired, renewed, released, and the VIP gone before the release is written', async () => {
  const a = rig();
  await a.clock.advance(2500);
  assert.equal(a.fence?.holds(), true);
  assert.equal(a.lease.current?.record.holderIdentity, 'node-a');
  a.abort.abort();
  await a.clock.advance(0);
  await a.ended;
  assert.deepEqual(a.story, [
    'observed: ',
    'acquired',
    'observed: node-a',
    'write: claim',
    'write: claim',
    'lost: released, fence false',
    'write: release',
    'observed: ',
  ]);
  assert.deepEqual(a.clock.timers(), []);
});

test('a tenure is handed over when its holder before gave it up, for a moment; not when it was created or ran out', async () => {
  const a = rig();
  const now = (): unknown => [a.fence?.holds(), a.fence?.wasHandedOver?.()];
  await a.clock.advance(1500);
  assert.deepEqual(now(), [true, false], 'created');
  a.lease.put(recordOf('node-b'));
  await a.clock.advance(100);
  assert.equal(a.fence?.holds(), false);
  a.lease.put(recordOf(''));
  await a.clock.advance(1000);
  assert.deepEqual(now(), [true, true], 'released');
  await a.clock.advance(4500);
  assert.deepEqual(now(), [true, false], 'a while ago');
  a.lease.put(recordOf('node-b'));
  await a.clock.advance(17_000);
  assert.deepEqual(now(), [true, false], 'ran out');
});

test('VIPs that take a while to go: nothing is released, nor acquired again, before they are gone', async () => {
  const gone = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()] as const;
  let losses = 0;
  const a = rig({ withdrawn: () => gone[losses++]?.promise });
  await a.clock.advance(1500);
  a.election.resign('for a moment', 100);
  assert.equal(a.fence?.holds(), false, 'the fence falls at once');
  const told = a.story.length;
  await a.clock.advance(1000);
  assert.deepEqual(a.story.slice(told), [], 'it could have had the lease again');
  gone[0].resolve(undefined);
  await a.clock.advance(0);
  assert.equal(a.story[told], 'write: release');
  await a.clock.advance(1000);
  assert.equal(a.election.status().isHolder, true);
  a.abort.abort();
  const last = a.story.length;
  await a.clock.advance(5000);
  assert.deepEqual(a.story.slice(last), [], 'the end waits, too');
  gone[1].resolve(undefined);
  await a.clock.advance(0);
  await a.ended;
  assert.equal(a.story[last], 'write: release');
});

test('VIPs that cannot be taken off the node end the election, and nothing is released', async () => {
  const a = rig({ withdrawn: () => Promise.reject(new Error('broken')) });
  await a.clock.advance(1500);
  const failed = assert.rejects(a.ended, /election listener failed: broken/);
  a.abort.abort();
  await a.clock.advance(100);
  await failed;
  assert.ok(!a.story.includes('write: release'));
});

test('a process that was stopped beyond its deadline does not hold, though nothing of it has run yet', async () => {
  const a = rig();
  await a.clock.advance(1500);
  a.clock.pause(20_000);
  assert.equal(a.fence?.holds(), false);
  assert.equal(a.election.status().isHolder, false);
  const { length } = a.story;
  a.election.recheck('whatever comes first');
  assert.equal(a.story[length], 'lost: renew-deadline, fence false');
});

test('stalled calls: the VIP is gone when the tenure ends, before anything is released, and the campaign goes on', async () => {
  const a = rig();
  await a.clock.advance(1100);
  a.trouble = 'stall';
  await a.clock.advance(4000);
  assert.ok(a.story.includes('lost: renew-deadline, fence false'));
  assert.ok(a.story.indexOf('lost: renew-deadline, fence false') < a.story.indexOf('write: release'));
  a.trouble = 'none';
  await a.clock.advance(5000);
  assert.equal(a.fence?.holds(), true);
  assert.equal(a.story.filter((line) => line === 'acquired').length, 2);
});

test('a release that never gets through delays the end by the renew deadline, no more', async () => {
  const a = rig();
  await a.clock.advance(1500);
  a.trouble = new StoreError('unreachable', 'connection refused');
  let ended = false;
  void a.ended.then(() => (ended = true));
  a.abort.abort();
  assert.equal(a.story.at(-2), 'lost: released, fence false');
  await a.clock.advance(2990);
  assert.equal(ended, false);
  await a.clock.advance(20);
  assert.equal(ended, true);
});

test('failures are logged once, their end once', async () => {
  const a = rig();
  await a.clock.advance(500);
  const { length } = a.logged;
  a.trouble = new StoreError('forbidden', 'leases is forbidden');
  await a.clock.advance(1900);
  a.trouble = 'none';
  await a.clock.advance(1500);
  assert.deepEqual(a.logged.slice(length), [
    'warn | lease update failed, retrying | leases is forbidden',
    'info | lease update works again',
  ]);
});

test('a race for a free lease that is lost is no failure; refused again while nobody holds, it is', async () => {
  const a = rig({ isSlow: true });
  const warnings = (): readonly string[] => a.logged.filter((line) => line.startsWith('warn'));
  await a.clock.advance(100);
  assert.deepEqual(warnings(), []);
  await a.clock.advance(4000);
  assert.deepEqual(warnings(), ['warn | lease create failed, retrying | leases "vip" already exists']);
});

test('an API server that does not answer is logged once, and when it does again', async () => {
  const a = rig();
  await a.clock.advance(500);
  const { length } = a.logged;
  a.trouble = 'stall';
  await a.clock.advance(1600);
  a.trouble = 'none';
  await a.clock.advance(1500);
  assert.deepEqual(a.logged.slice(length), [
    'warn | lease update failed, retrying | no answer in time',
    'info | lease update works again',
  ]);
  assert.equal(a.story.filter((line) => line.startsWith('lost')).length, 0);
});

test('status tells who holds, since when, and what went wrong last', async () => {
  const a = rig();
  assert.equal(a.election.status().lastRenewAgeMs, undefined);
  await a.clock.advance(1250);
  a.trouble = new StoreError('server', 'etcd has no leader');
  await a.clock.advance(1000);
  const status = a.election.status();
  assert.deepEqual([status.lease, status.identity, status.holder], ['memory/lease', 'node-a', 'node-a']);
  assert.equal(status.isHolder, true);
  assert.equal(status.lastError, 'etcd has no leader');
  assert.equal(status.lastReason, 'server');
  assert.ok((status.lastRenewAgeMs ?? 0) >= 1000, String(status.lastRenewAgeMs));
});

test('what a store throws that is no StoreError counts as garbage, and is survived', async () => {
  const a = rig();
  const odd = a as { trouble: unknown };
  odd.trouble = new TypeError('undefined is not a lease');
  await a.clock.advance(3000);
  assert.equal(a.election.status().lastError, 'undefined is not a lease');
  a.trouble = 'none';
  await a.clock.advance(1500);
  assert.equal(a.fence?.holds(), true);
});

test('a stop before the start ends at once, without a call', async () => {
  const lease = new MemoryLease();
  const election = createElection(
    { store: memoryLeaseStore(lease), clock: new FakeClock(), random: () => 0, log: silentLogger },
    { identity: 'node-a', leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 },
  );
  const listener = { acquired: () => assert.fail('acquired'), lost: () => assert.fail('lost') };
  await election.run(listener, AbortSignal.abort());
  // And it can run again.
  const abort = new AbortController();
  const ended = election.run(listener, abort.signal);
  await assert.rejects(election.run(listener, abort.signal), /already running/);
  abort.abort();
  await ended;
});

test('a listener that fails ends the election, and nothing is released: its VIP may still be there', async () => {
  const a = rig({
    onLost: () => {
      throw new Error('the address would not go');
    },
  });
  await a.clock.advance(1500);
  const ended = assert.rejects(a.ended, /the address would not go/);
  a.abort.abort();
  await ended;
  assert.ok(!a.writes.includes('update:'));
  assert.equal(a.lease.current?.record.holderIdentity, 'node-a');
  assert.deepEqual(a.clock.timers(), []);
});

test('a listener may resign from inside its callback', async () => {
  const a = rig({
    onAcquired: () => {
      if (a.story.filter((line) => line === 'acquired').length === 1) a.election.resign('not ready', 2000);
    },
  });
  await a.clock.advance(1000);
  assert.deepEqual(a.story.slice(0, 4), [
    'observed: ',
    'acquired',
    'observed: node-a',
    'lost: resigned, fence false',
  ]);
  assert.equal(a.lease.current?.record.holderIdentity, '');
  await a.clock.advance(2000);
  assert.equal(a.fence?.holds(), true);
});

test('a thief seen by the watch ends the tenure in the same turn', async () => {
  const a = rig();
  await a.clock.advance(1500);
  a.lease.put(recordOf('thief'));
  assert.equal(a.story.at(-2), 'lost: taken, fence false');
  assert.equal(a.story.at(-1), 'observed: thief');
});

test('every step is told to the observer, ignored ones too', async () => {
  const a = rig();
  await a.clock.advance(1500);
  a.election.recheck('one');
  a.election.recheck('two');
  const reasons = a.steps.map((each) => each.result.reason);
  for (const reason of ['started', 'not-found', 'claiming', 'acquired', 'renewing', 'renewed'] as const) {
    assert.ok(reasons.includes(reason), reasons.join(' '));
  }
  const ignored = a.steps.filter((each) => each.result.ignored).map((each) => each.result.reason);
  assert.deepEqual(ignored, ['already-asking']);
});
