import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createElection } from '../../election/index.ts';
import type { Election, LossReason, Timings } from '../../election/index.ts';
import { silentLogger } from '../../lib/log.ts';
import type { Fence } from '../../lib/fence.ts';
import { callOptions, recordOf, until } from './election-subject.ts';
import type { LeaseSubject, OpenLeaseSubject } from './election-subject.ts';

/** How the elections are set, and what may be expected of them. */
interface ElectionPace {
  readonly timings: Timings;
  /** A released record is taken within this time by who watches it, milliseconds. */
  readonly watchedMs: number;
  /** The same for who only polls, and for a record of one's own after a restart. */
  readonly polledMs: number;
}

/** For a clock that stands still while a call is under way. */
const fakePace: ElectionPace = {
  timings: { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 1000 },
  watchedMs: 500,
  polledMs: 2500,
};

/** For servers on a busy machine, in true time: what waits for nobody's lease can still be told from what does. */
export const busyPace: ElectionPace = {
  timings: { leaseDurationMs: 10_000, renewDeadlineMs: 7000, retryPeriodMs: 1000 },
  watchedMs: 5000,
  polledMs: 7000,
};

/** A candidate with its story. */
class Candidate {
  readonly election: Election;
  readonly story: string[] = [];
  fence: Fence | undefined;
  private readonly abort = new AbortController();
  private readonly ended: Promise<void>;

  constructor(subject: LeaseSubject, identity: string, timings: Timings) {
    this.election = createElection(
      { store: subject.store(), clock: subject.clock, random: Math.random, log: silentLogger },
      { identity, ...timings },
    );
    this.ended = this.election.run(
      {
        acquired: (fence) => {
          this.fence = fence;
          this.story.push('acquired');
        },
        lost: (reason: LossReason) => {
          assert.equal(this.fence?.holds(), false, 'the fence falls before the loss is told');
          this.fence = undefined;
          this.story.push(`lost: ${reason}`);
        },
      },
      this.abort.signal,
    );
  }

  get holds(): boolean {
    return this.fence?.holds() === true;
  }

  async stop(subject: LeaseSubject): Promise<void> {
    let done = false;
    void this.ended.finally(() => (done = true));
    this.abort.abort();
    await until(subject, 'the candidate to stop', () => done);
    await this.ended;
  }
}

/** What an election over any store must do: run on memory, on the fake API server and on the real one. */
export function electionContract(name: string, open: OpenLeaseSubject, pace = fakePace): void {
  const { timings } = pace;
  const withCandidates =
    (run: (subject: LeaseSubject, candidates: readonly Candidate[]) => Promise<void>) =>
    async (): Promise<void> => {
      const subject = await open();
      const candidates = ['node-a', 'node-b', 'node-c'].map(
        (identity) => new Candidate(subject, identity, timings),
      );
      try {
        await run(subject, candidates);
      } finally {
        for (const candidate of candidates) await candidate.stop(subject);
        await subject.close();
      }
    };

  const holderOf = async (
    subject: LeaseSubject,
    candidates: readonly Candidate[],
    not?: Candidate,
  ): Promise<Candidate> => {
    const holding = (): Candidate[] => candidates.filter((each) => each.holds);
    await until(subject, 'a holder', () => holding().some((each) => each !== not));
    const [holder, ...others] = holding();
    assert.ok(holder !== undefined && others.length === 0, `${others.length + 1} holders`);
    return holder;
  };

  describe(`elections over ${name} keep the contract`, () => {
    it(
      'one candidate of three holds, and the record says so',
      withCandidates(async (subject, candidates) => {
        const holder = await holderOf(subject, candidates);
        await subject.advance(1500);
        assert.equal(holder.holds, true);
        assert.deepEqual(candidates.map((each) => each.story.length).sort(), [0, 0, 1]);
        const { record } = await subject.store().read(callOptions);
        assert.equal(record.holderIdentity, holder.election.status().identity);
        assert.equal(record.leaseDurationSeconds, timings.leaseDurationMs / 1000);
        for (const each of candidates) {
          assert.equal(each.election.status().holder, record.holderIdentity);
          assert.equal(each.election.status().isHolder, each === holder);
        }
      }),
    );

    it(
      'a holder that stops hands over without the others waiting for the lease to run out',
      withCandidates(async (subject, candidates) => {
        const holder = await holderOf(subject, candidates);
        const rest = candidates.filter((each) => each !== holder);
        await until(subject, 'all to see the holder', () =>
          rest.every((each) => each.election.status().holder !== ''),
        );
        await holder.stop(subject);
        assert.deepEqual(holder.story, ['acquired', 'lost: released']);
        const isNext = (): boolean => rest.some((each) => each.holds);
        const waited = await until(subject, 'the next holder', isNext, pace.polledMs);
        if (subject.store().watch !== undefined) assert.ok(waited < pace.watchedMs, `${waited} ms`);
      }),
    );

    it(
      'a holder that resigns stays out of the race for its pause',
      withCandidates(async (subject, candidates) => {
        const holder = await holderOf(subject, candidates);
        holder.election.resign('a test', 4000);
        assert.deepEqual(holder.story, ['acquired', 'lost: resigned']);
        await holderOf(subject, candidates, holder);
        assert.equal(holder.holds, false);
      }),
    );

    it(
      'a record overwritten by hand ends the tenure, and its new holder takes it',
      withCandidates(async (subject, candidates) => {
        const holder = await holderOf(subject, candidates);
        const other = candidates.find((each) => each !== holder);
        assert.ok(other !== undefined);
        await subject.overwriteHolder(other.election.status().identity);
        await until(subject, 'the loss', () => holder.story.at(-1) === 'lost: taken');
        await until(subject, 'the take-over', () => other.holds);
      }),
    );

    it(
      'a record taken by a stranger who never renews is taken back when it has run out',
      withCandidates(async (subject, candidates) => {
        const holder = await holderOf(subject, candidates);
        await subject.overwriteHolder('stranger');
        await until(subject, 'the loss', () => holder.story.at(-1) === 'lost: taken');
        await until(subject, 'a holder again', () => candidates.some((each) => each.holds));
      }),
    );

    it(
      'a deleted record is created anew by its holder, who keeps its tenure',
      withCandidates(async (subject, candidates) => {
        const holder = await holderOf(subject, candidates);
        await until(subject, 'all to see the holder', () =>
          candidates.every((each) => each.election.status().holder !== ''),
        );
        await subject.remove();
        await subject.advance(1200);
        await until(subject, 'the record', () =>
          candidates.every((each) => each.election.status().holder !== ''),
        );
        assert.equal(
          (await subject.store().read(callOptions)).record.holderIdentity,
          holder.election.status().identity,
        );
        assert.deepEqual(candidates.map((each) => each.holds).filter(Boolean), [true]);
      }),
    );
  });

  describe(`an election over ${name}`, () => {
    it('takes its own record again after a restart, without waiting and without a transition', async () => {
      const subject = await open();
      await subject.store().create(recordOf('node-a', { leaseTransitions: 4 }), callOptions);
      const candidate = new Candidate(subject, 'node-a', timings);
      try {
        await until(subject, 'the tenure', () => candidate.holds, pace.polledMs);
        const { record } = await subject.store().read(callOptions);
        assert.equal(record.leaseTransitions, 4);
        assert.equal(record.acquireTime, recordOf('').acquireTime);
      } finally {
        await candidate.stop(subject);
        await subject.close();
      }
    });
  });
}
