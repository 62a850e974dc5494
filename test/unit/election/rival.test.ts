import assert from 'node:assert/strict';
import { test } from 'node:test';
import { armed, Bench, find, names, stored } from './bench.ts';

/** A record that names us and was written by another process, at second `at` of its clock. */
function rivals(version: number, at: number) {
  return stored('node-a', String(version), {
    renewTime: `2026-06-01T00:00:${String(at).padStart(2, '0')}.000000Z`,
  });
}

/** Two processes with one name, each told at once of what the other writes: the version at which `bench` gave up. */
function duel(bench: Bench): number {
  for (let version = 3; version < 30; version += 2) {
    bench.now += 5;
    const effects = bench.sees(rivals(version, version));
    if (names(effects)[0] === 'lost:same-name') return version;
    bench.ok({ ...stored('node-a', String(version + 1)), record: find(effects, 'update').record });
  }
  assert.fail('both go on');
}

test('a record renewed by another process of our name ends the tenure within three of its renewals', () => {
  const bench = Bench.holder();
  bench.now = 100;
  assert.equal(duel(bench), 7);
  assert.equal(bench.at, 'following');
});

test('a rival that only renews in its own rhythm is noticed as well', () => {
  const bench = Bench.holder();
  const first: string[] = [];
  for (const [index, version] of [10, 20, 30].entries()) {
    bench.now += 900;
    const effects = bench.sees(rivals(version, index));
    first.push(names(effects)[0] ?? '');
    if (bench.at === 'holding')
      bench.ok({ ...stored('node-a', String(version + 1)), record: find(effects, 'update').record });
  }
  assert.equal(first.at(-1), 'lost:same-name');
});

test('the record of a rival counts as held by another until it stood still for its duration', () => {
  const bench = Bench.holder();
  duel(bench);
  const effects = bench.sees(rivals(50, 50));
  assert.equal(armed(effects, 'take'), 5000);
  bench.now += 5000;
  bench.fire('take');
  bench.ok({ ...stored('node-a', '51'), record: find(bench.last?.effects ?? [], 'update').record });
  assert.equal(bench.at, 'holding');
});

test('a record that a rival released is free', () => {
  const bench = Bench.holder();
  duel(bench);
  assert.equal(armed(bench.sees(stored('', '50')), 'take'), 0);
});

test('stopping leaves the record of a rival alone', () => {
  const bench = Bench.holder();
  duel(bench);
  const effects = names(bench.send({ kind: 'stop' }));
  assert.ok(!effects.includes('update'), effects.join(' '));
  assert.equal(effects.at(-1), 'finished');
});

test('a hand on times or duration of our record is answered by a renewal, not by giving up', () => {
  const edits = [
    { renewTime: '2001-01-01T00:00:00Z' },
    { renewTime: undefined },
    { leaseDurationSeconds: 1 },
  ] as const;
  for (const edit of edits) {
    const bench = Bench.holder();
    bench.now = 500;
    const effects = bench.sees(stored('node-a', '3', edit));
    const { base, record } = find(effects, 'update');
    assert.equal(base.version, '3');
    assert.equal(record.leaseDurationSeconds, 5);
    assert.ok(!names(effects).some((name) => name.startsWith('lost')));
  }
});

test('hands that write now and then never add up to a rival', () => {
  const bench = Bench.holder();
  for (let version = 10; version < 100; version += 10) {
    bench.now += 1600;
    if (bench.state.timers.renew !== undefined) bench.fire('renew');
    bench.ok(stored('node-a', String(version)));
    bench.sees(rivals(version + 1, version % 60));
    bench.ok(stored('node-a', String(version + 2)));
    assert.equal(bench.at, 'holding');
  }
});

test('our own write that was never answered is not taken for a rival', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  const { record } = find(bench.fire('renew'), 'update');
  bench.now = 2000;
  bench.fire('call');
  for (const version of ['3', '4', '5', '6']) {
    const effects = bench.sees({ ...stored('node-a', version), record });
    assert.ok(!names(effects).includes('update'), names(effects).join(' '));
  }
  assert.equal(bench.at, 'holding');
});
