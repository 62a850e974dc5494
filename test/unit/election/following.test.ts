import assert from 'node:assert/strict';
import { test } from 'node:test';
import { armed, Bench, find, names, stored } from './bench.ts';

test('a candidate reads first, and reports who holds', () => {
  const bench = new Bench();
  assert.deepEqual(names(bench.send({ kind: 'start' })), ['arm:call', 'read']);
  assert.deepEqual(names(bench.ok(stored('node-b', '1'))), [
    'disarm:call',
    'observed:node-b',
    'arm:take',
    'arm:poll',
  ]);
});

test('a record of another holder is claimed only after it stood still for its own duration by our clock', () => {
  const bench = Bench.follower();
  bench.now = 4000;
  // The same content again, under a new version: somebody annotated it. Not a sign of life.
  assert.equal(armed(bench.sees(stored('node-b', '2')), 'take'), 1000);
  bench.now = 4500;
  const renewed = stored('node-b', '3', { renewTime: '2026-01-01T00:00:04.000000Z' });
  assert.equal(armed(bench.sees(renewed), 'take'), 5000);
  bench.now = 9500;
  const claim = find(bench.fire('take'), 'update');
  assert.equal(claim.base.version, '3');
});

test('the duration in the record counts, not the one configured here; a missing one is ours', () => {
  const bench = Bench.follower();
  const effects = bench.sees(stored('node-b', '2', { leaseDurationSeconds: 15, renewTime: 'later' }));
  assert.equal(armed(effects, 'take'), 15_000);
  const silent = bench.sees(stored('node-b', '3', { leaseDurationSeconds: 0, renewTime: 'later still' }));
  assert.equal(armed(silent, 'take'), 5000);
});

test('times written in the record are not trusted: a renewTime years ago or ahead changes nothing', () => {
  for (const renewTime of ['1999-01-01T00:00:00.000000Z', '2099-01-01T00:00:00.000000Z', undefined]) {
    const bench = Bench.follower();
    assert.equal(armed(bench.sees(stored('node-b', '2', { renewTime })), 'take'), 5000);
  }
});

test('a released record is claimed within 50 ms of the watch telling', () => {
  for (const [random, ms] of [
    [0, 0],
    [0.999, 49.95],
  ] as const) {
    const bench = Bench.follower();
    bench.random = random;
    assert.equal(armed(bench.sees(stored('', '2', { leaseDurationSeconds: 1 })), 'take'), ms);
  }
});

test('a deletion does not free the lease: its holder may have renewed it just before', () => {
  const bench = Bench.follower();
  bench.now = 4900;
  assert.equal(armed(bench.sees(undefined, '2'), 'take'), 5000);
  bench.now = 6000;
  bench.fire('poll');
  assert.equal(armed(bench.fails('not-found'), 'take'), 3900);
  bench.now = 9900;
  assert.equal(find(bench.fire('take'), 'create').record.holderIdentity, 'node-a');
});

test('where no record was ever seen, one is created after settling', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  assert.equal(armed(bench.fails('not-found'), 'take'), 150);
  const { record } = find(bench.fire('take'), 'create');
  assert.deepEqual(record, {
    holderIdentity: 'node-a',
    leaseDurationSeconds: 5,
    acquireTime: '2026-01-01T00:00:00.000000Z',
    renewTime: '2026-01-01T00:00:00.000000Z',
    leaseTransitions: 0,
  });
});

test('our own record is taken again at once after a restart, and no transition is counted', () => {
  const bench = new Bench();
  bench.now = 1234;
  bench.send({ kind: 'start' });
  assert.equal(armed(bench.ok(stored('node-a', '7')), 'take'), 0);
  const { record } = find(bench.fire('take'), 'update');
  assert.equal(record.leaseTransitions, 3);
  assert.equal(record.acquireTime, '2025-12-31T23:00:00.000001Z');
  assert.equal(record.renewTime, '2026-01-01T00:00:01.234000Z');
});

test('our name written by hand over a living holder gives that holder time to see it', () => {
  const bench = Bench.follower();
  bench.now = 1000;
  assert.equal(armed(bench.sees(stored('node-a', '2')), 'take'), 150);
});

test('taking over counts a transition and starts a new acquireTime, for an empty record too', () => {
  for (const holder of ['node-b', '']) {
    const bench = new Bench();
    bench.send({ kind: 'start' });
    bench.ok(stored(holder, '1'));
    bench.now = 6000;
    const { record } = find(bench.fire('take'), 'update');
    assert.equal(record.leaseTransitions, 4);
    assert.equal(record.acquireTime, '2026-01-01T00:00:06.000000Z');
  }
});

test('candidates poll every retry period × (1 … 2.2) while somebody holds, as client-go does', () => {
  for (const [random, ms] of [
    [0, 1000],
    [1, 2200],
  ] as const) {
    const bench = Bench.follower();
    bench.random = random;
    bench.now = 10;
    bench.fire('poll');
    assert.equal(armed(bench.ok(stored('node-b', '1')), 'poll'), ms);
  }
});

test('unreachable at start: keeps trying, each time within one retry period', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.random = 1;
  for (let attempt = 0; attempt < 50; attempt++) {
    const wait = armed(bench.fails('unreachable'), 'poll');
    assert.ok(wait > 0 && wait <= 1000, `waits ${wait} ms`);
    bench.now += wait;
    assert.deepEqual(names(bench.fire('poll')), ['arm:call', 'read']);
  }
  bench.ok(stored('', '1'));
  bench.fire('take');
  assert.deepEqual(names(bench.ok(stored('node-a', '2'))).slice(-2), ['acquired', 'observed:node-a']);
});

test('refused permissions, throttling and garbage are retried until they end', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  for (const error of ['forbidden', 'unauthorized', 'throttled', 'server', 'garbage', 'invalid'] as const) {
    bench.fails(error);
    bench.fire('poll');
  }
  bench.ok(stored('', '1'));
  bench.fire('take');
  // Reading is allowed, writing not yet.
  bench.fails('forbidden');
  bench.fire('poll');
  bench.ok(stored('', '1'));
  bench.fire('take');
  bench.ok(stored('node-a', '2'));
  assert.equal(bench.at, 'holding');
});

test('a lost race is followed by a read, not by another claim', () => {
  for (const error of ['conflict', 'already-exists'] as const) {
    const bench = new Bench();
    bench.send({ kind: 'start' });
    bench.ok(stored('', '1'));
    bench.fire('take');
    assert.deepEqual(names(bench.fails(error)), ['disarm:call', 'arm:call', 'read']);
    assert.equal(armed(bench.ok(stored('node-b', '2')), 'take'), 5000);
  }
});

test('a claim answered after its tenure would have ended is none', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.ok(stored('', '1'));
  bench.fire('take');
  bench.now = 4000;
  const effects = bench.ok(stored('node-a', '2'));
  assert.ok(!names(effects).includes('acquired'));
  assert.equal(armed(effects, 'take'), 0);
});

test('a claim that the watch tells to be overwritten before it is answered is no tenure', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.ok(stored('', '1'));
  bench.fire('take');
  bench.sees(stored('node-b', '3'));
  assert.ok(!names(bench.ok(stored('node-a', '2'))).includes('acquired'));
  assert.equal(bench.at, 'following');
});

test('a claim whose own news came before its answer, or older news, is a tenure', () => {
  for (const change of [stored('node-a', '2'), stored('node-b', '1')]) {
    const bench = new Bench();
    bench.send({ kind: 'start' });
    bench.ok(stored('', '1'));
    bench.fire('take');
    bench.sees(change);
    assert.ok(names(bench.ok(stored('node-a', '2'))).includes('acquired'));
  }
});

test('a claim that was deleted before it was answered is created anew at once', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.ok(stored('', '1'));
  bench.fire('take');
  bench.sees(undefined, '3');
  const effects = names(bench.ok(stored('node-a', '2')));
  assert.ok(effects.includes('acquired') && effects.includes('create'), effects.join(' '));
});

test('a claim that timed out is looked up, because it may have been carried out', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.ok(stored('', '1'));
  bench.fire('take');
  bench.now = 1000;
  bench.fire('call');
  bench.fire('poll');
  const found = bench.ok(stored('node-a', '2'));
  assert.equal(armed(found, 'take'), 0);
});

test('old news is ignored; an old deletion is looked up', () => {
  const bench = Bench.follower();
  bench.sees(stored('node-b', '10', { renewTime: 'later' }));
  assert.deepEqual(names(bench.sees(stored('', '9'))), []);
  assert.equal(bench.last?.reason, 'stale-watch');
  assert.deepEqual(names(bench.sees(undefined, '9')), ['arm:call', 'read']);
});

test('versions that are no numbers are looked up instead of compared', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.ok(stored('node-b', 'abc'));
  assert.deepEqual(names(bench.sees(stored('', 'abd'))), ['arm:call', 'read']);
});

test('resigning as a candidate stays out of the race for the pause', () => {
  const bench = Bench.follower();
  assert.equal(armed(bench.send({ kind: 'resign', pauseMs: 4000 }), 'pause'), 4000);
  assert.deepEqual(names(bench.sees(stored('', '2'))), ['observed:']);
  bench.now = 4000;
  assert.equal(armed(bench.fire('pause'), 'take'), -4000 + 4000);
});

test('a stopped candidate sends nothing more', () => {
  const bench = Bench.follower();
  assert.deepEqual(names(bench.send({ kind: 'stop' })), ['disarm:poll', 'disarm:take', 'finished']);
  assert.deepEqual(names(bench.sees(stored('', '2'))), []);
  assert.deepEqual(names(bench.send({ kind: 'recheck' })), []);
});

test('a claim under way when stopping is looked up and released', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.ok(stored('', '1'));
  bench.fire('take');
  const effects = names(bench.send({ kind: 'stop' }));
  assert.ok(effects.includes('cancel-call') && effects.at(-1) === 'read', effects.join(' '));
  assert.equal(find(bench.ok(stored('node-a', '2')), 'update').record.holderIdentity, '');
  assert.equal(names(bench.ok(stored('', '3'))).at(-1), 'finished');
});

test('a record that cannot be created because its namespace is missing is no reason to try without pause', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.fails('not-found');
  bench.fire('take');
  for (let attempt = 0; attempt < 5; attempt++) {
    const effects = bench.fails('not-found');
    assert.ok(armed(effects, 'poll') >= 500, names(effects).join(' '));
    assert.ok(!names(effects).includes('arm:take'));
    bench.fire('poll');
    bench.fails('not-found');
    bench.fire('take');
  }
});

test('a read counts whatever its version; an older record does not end the tenure of the holder known', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.ok(stored('node-b', '20'));
  bench.now = 2000;
  bench.fire('poll');
  assert.equal(armed(bench.ok(stored('', '7')), 'take'), 5000);
  bench.now = 7000;
  assert.equal(find(bench.fire('take'), 'update').base.version, '7');
});
