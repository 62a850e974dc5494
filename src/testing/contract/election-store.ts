import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LeaseChange } from '../../election/index.ts';
import { callOptions, failsAs, recordOf, until } from './election-subject.ts';
import type { LeaseSubject, OpenLeaseSubject } from './election-subject.ts';

/** What every place for an election record must keep: versions that protect, and news in order. */
export function leaseStoreContract(name: string, open: OpenLeaseSubject): void {
  const withSubject = (run: (subject: LeaseSubject) => Promise<void>) => async (): Promise<void> => {
    const subject = await open();
    try {
      await run(subject);
    } finally {
      await subject.close();
    }
  };

  describe(`${name} keeps the contract of a lease store`, () => {
    it(
      'says not-found where there is no record',
      withSubject(async (subject) => {
        await failsAs(['not-found'], subject.store().read(callOptions));
      }),
    );

    it(
      'gives back what was created, to the microsecond',
      withSubject(async (subject) => {
        const record = recordOf('node-a', { leaseTransitions: 7 });
        const created = await subject.store().create(record, callOptions);
        assert.deepEqual(created.record, record);
        const read = await subject.store().read(callOptions);
        assert.deepEqual(read.record, record);
        assert.equal(read.version, created.version);
      }),
    );

    it(
      'creates only once',
      withSubject(async (subject) => {
        await subject.store().create(recordOf('node-a'), callOptions);
        await failsAs(['already-exists'], subject.store().create(recordOf('node-b'), callOptions));
        assert.equal((await subject.store().read(callOptions)).record.holderIdentity, 'node-a');
      }),
    );

    it(
      'takes the update of exactly one of two who saw the same version',
      withSubject(async (subject) => {
        const base = await subject.store().create(recordOf(''), callOptions);
        const both = await Promise.allSettled(
          ['node-a', 'node-b'].map((holder) => subject.store().update(base, recordOf(holder), callOptions)),
        );
        assert.deepEqual(both.map((each) => each.status).sort(), ['fulfilled', 'rejected']);
        await failsAs(['conflict'], subject.store().update(base, recordOf('node-c'), callOptions));
      }),
    );

    it(
      'changes the version with every write, also when the record stays the same',
      withSubject(async (subject) => {
        const store = subject.store();
        const first = await store.create(recordOf('node-a'), callOptions);
        const second = await store.update(first, recordOf('node-a', { leaseTransitions: 1 }), callOptions);
        assert.notEqual(second.version, first.version);
      }),
    );

    it(
      'does not bring a deleted record back by an update',
      withSubject(async (subject) => {
        const store = subject.store();
        const base = await store.create(recordOf('node-a'), callOptions);
        await subject.remove();
        await failsAs(['conflict', 'not-found'], store.update(base, recordOf('node-a'), callOptions));
        await failsAs(['not-found'], store.read(callOptions));
      }),
    );

    it(
      'refuses an update based on an earlier record of the same name',
      withSubject(async (subject) => {
        const store = subject.store();
        const base = await store.create(recordOf('node-a'), callOptions);
        await subject.remove();
        await store.create(recordOf('node-b'), callOptions);
        await failsAs(['conflict'], store.update(base, recordOf('node-a'), callOptions));
      }),
    );

    it(
      'writes its annotations on create and keeps them, and those of others, on update',
      withSubject(async (subject) => {
        const created = await subject
          .store({ annotations: { a: 'b' } })
          .create(recordOf('node-a'), callOptions);
        assert.equal(created.annotations['a'], 'b');
        const updated = await subject
          .store({ annotations: { c: 'd' } })
          .update(created, recordOf('node-b'), callOptions);
        assert.deepEqual([updated.annotations['a'], updated.annotations['c']], ['b', 'd']);
      }),
    );

    it(
      'takes the empty holder of a release',
      withSubject(async (subject) => {
        const store = subject.store();
        const base = await store.create(recordOf('node-a'), callOptions);
        const released = recordOf('', { leaseDurationSeconds: 1 });
        assert.deepEqual((await store.update(base, released, callOptions)).record, released);
      }),
    );

    it(
      'tells of changes in order, a deletion among them, until it is no longer asked to',
      withSubject(async (subject) => {
        const store = subject.store();
        const news: string[] = [];
        const abort = new AbortController();
        const tell = (change: LeaseChange): void => {
          const text = change.kind === 'present' ? change.lease.record.holderIdentity : '(absent)';
          if (text !== news.at(-1)) news.push(text);
        };
        store.watch?.(tell, abort.signal);
        if (store.watch === undefined) return;
        await subject.advance(200);
        const first = await store.create(recordOf('node-a'), callOptions);
        await store.update(first, recordOf('node-b'), callOptions);
        await until(subject, 'the update to be told', () => news.at(-1) === 'node-b');
        await subject.remove();
        await until(subject, 'the deletion to be told', () => news.at(-1) === '(absent)');
        await store.create(recordOf('node-c'), callOptions);
        await until(subject, 'the new record to be told', () => news.at(-1) === 'node-c');
        // What was there before is told too, as absent or not at all; a change may be folded into a later one.
        const told = news.filter((text, index) => !(index === 0 && text === '(absent)'));
        const expected = ['node-a', 'node-b', '(absent)', 'node-c'];
        assert.deepEqual(told, told.includes('node-a') ? expected : expected.slice(1));
        abort.abort();
        const before = news.length;
        const current = await store.read(callOptions);
        await store.update(current, recordOf('node-d'), callOptions);
        await subject.advance(200);
        assert.equal(news.length, before);
      }),
    );
  });
}
