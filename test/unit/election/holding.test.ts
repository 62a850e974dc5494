import assert from 'node:assert/strict';
import { test } from 'node:test';
import { armed, Bench, find, names, record, stored } from './bench.ts';

test('tenure counts from when the claim was sent, not from its answer', () => {
  const bench = new Bench();
  bench.send({ kind: 'start' });
  bench.ok(stored('', '1'));
  bench.now = 100;
  bench.fire('take');
  bench.now = 900;
  const acquired = find(bench.ok(stored('node-a', '2')), 'acquired');
  assert.equal(acquired.validUntil, 100 + 4000);
});

test('a renewal counts from when it was sent, and the next follows a retry period after that', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  bench.fire('renew');
  bench.now = 1700;
  const effects = bench.ok(stored('node-a', '3'));
  assert.equal(find(effects, 'renewed').validUntil, 5000);
  assert.equal(armed(effects, 'deadline'), 3300);
  assert.equal(armed(effects, 'renew'), 300);
});

test('a renewal keeps acquireTime and transitions and is based on the last known version', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  const { base, record: sent } = find(bench.fire('renew'), 'update');
  assert.equal(base.version, '2');
  assert.deepEqual(sent, record('node-a', { renewTime: '2026-01-01T00:00:01.000000Z' }));
});

test('at the end of a tenure the VIP goes first, then the record is released', () => {
  const bench = Bench.holder();
  bench.now = 4000;
  const effects = bench.fire('deadline');
  assert.equal(names(effects)[0], 'lost:renew-deadline');
  const release = find(effects, 'update');
  assert.deepEqual(release.record, {
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: '2026-01-01T00:00:04.000000Z',
    renewTime: '2026-01-01T00:00:04.000000Z',
    leaseTransitions: 3,
  });
  assert.equal(armed(effects, 'release'), 1000);
});

test('whatever comes first after a long stop, the tenure ends before it is looked at', () => {
  const events = [
    { kind: 'recheck' },
    { kind: 'stop' },
    { kind: 'resign', pauseMs: 10 },
    { kind: 'watched', change: { kind: 'present', lease: stored('node-a', '3') } },
    { kind: 'watched', change: { kind: 'absent', version: '4' } },
    { kind: 'timer', name: 'renew', generation: -1 },
    { kind: 'result', call: -1, outcome: { ok: true, lease: stored('node-a', '3') } },
  ] as const;
  for (const event of events) {
    const bench = Bench.holder();
    bench.now = 20_000;
    assert.equal(names(bench.send(event))[0], 'lost:renew-deadline', event.kind);
  }
});

test('the answer to a renewal that arrives after the deadline does not bring the tenure back', () => {
  const bench = Bench.holder();
  bench.now = 3900;
  bench.fire('renew');
  const { call } = bench.state;
  bench.now = 4000;
  const effects = bench.send({
    kind: 'result',
    call: call?.id ?? -1,
    outcome: { ok: true, lease: stored('node-a', '3') },
  });
  assert.equal(names(effects)[0], 'lost:renew-deadline');
  assert.ok(!names(effects).includes('renewed'));
});

test('a deadline timer that is early is armed again, never believed', () => {
  const bench = Bench.holder();
  bench.now = 3999.5;
  assert.deepEqual(names(bench.fire('deadline')), ['arm:deadline']);
  assert.equal(bench.at, 'holding');
});

test('a stalled call leaves time for a second one before the tenure ends', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  const { timeoutMs } = find(bench.fire('renew'), 'update');
  assert.equal(timeoutMs, 2000);
  bench.now = 3000;
  const after = bench.fire('call');
  assert.equal(names(after)[0], 'cancel-call');
  bench.now += armed(after, 'renew');
  const again = find(bench.fire('renew'), 'update');
  assert.ok(
    again.timeoutMs > 900 && bench.now + again.timeoutMs <= 4000,
    `ends at ${bench.now + again.timeoutMs}`,
  );
});

test('calls that take almost half a tenure each keep it: the next renewal follows at once', () => {
  const bench = Bench.holder();
  for (let version = 3; version < 20; version++) {
    const sentAt = Math.max(bench.now, bench.now + armed(bench.last?.effects ?? [], 'renew'));
    bench.now = sentAt;
    const { timeoutMs } = find(bench.fire('renew'), 'update');
    bench.now += 1900;
    assert.ok(timeoutMs > 1900, `${timeoutMs} ms for a call`);
    assert.equal(find(bench.ok(stored('node-a', String(version))), 'renewed').validUntil, sentAt + 4000);
  }
});

test('quick failures are retried more often as the end of the tenure comes nearer, but not without pause', () => {
  const bench = Bench.holder();
  const waits: number[] = [];
  bench.now = 1000;
  bench.fire('renew');
  for (;;) {
    const wait = armed(bench.fails('unreachable'), 'renew');
    waits.push(wait);
    bench.now += wait;
    if (bench.now >= 4000) break;
    bench.fire('renew');
  }
  assert.deepEqual(waits.slice(0, 4), [1000, 1000, 500, 250]);
  assert.ok(Math.min(...waits) >= 100 && waits.length >= 5, waits.join(' '));
});

test('somebody else in the record ends the tenure at once, whoever tells', () => {
  const told = [
    (bench: Bench) => bench.sees(stored('node-b', '3')),
    (bench: Bench) => {
      bench.fire('renew');
      bench.fails('conflict');
      return bench.ok(stored('node-b', '3'));
    },
    (bench: Bench) => {
      bench.send({ kind: 'recheck' });
      return bench.ok(stored('node-b', '3'));
    },
  ];
  for (const tell of told) {
    const bench = Bench.holder();
    bench.now = 1000;
    const effects = names(tell(bench));
    assert.ok(effects.indexOf('lost:taken') >= 0, effects.join(' '));
    assert.ok(!effects.includes('update'), 'a record of somebody else is not released');
    assert.equal(bench.at, 'following');
  }
});

test('a flood of doubts is answered by ten looks a second at most', () => {
  const bench = Bench.holder();
  let reads = 0;
  let version = 3;
  for (bench.now = 1; bench.now < 1000; bench.now++) {
    if (!names(bench.send({ kind: 'recheck' })).includes('read')) continue;
    reads++;
    bench.ok(stored('node-a', String(version)));
    bench.ok(stored('node-a', String(++version)));
  }
  assert.ok(reads >= 8 && reads <= 10, `${reads} reads`);
});

test('a record cleared by hand ends the tenure too: anybody may take it now', () => {
  const bench = Bench.holder();
  assert.equal(names(bench.sees(stored('', '3')))[0], 'lost:taken');
});

test('a deleted record is created anew at once, without giving up the VIP', () => {
  const bench = Bench.holder();
  bench.now = 500;
  const effects = bench.sees(undefined, '3');
  assert.equal(find(effects, 'shortened').validUntil, 550);
  assert.equal(find(effects, 'create').record.leaseTransitions, 0);
  bench.now = 510;
  const created = bench.ok(stored('node-a', '4'));
  assert.equal(find(created, 'renewed').validUntil, 4500);
  assert.ok(!names(created).some((name) => name.startsWith('lost')));
});

test('a deleted record that cannot be created within 50 ms ends the tenure', () => {
  const bench = Bench.holder();
  bench.now = 500;
  bench.sees(undefined, '3');
  bench.now = 550;
  assert.equal(names(bench.fire('deadline'))[0], 'lost:deleted');
  // The create still on its way may yet succeed, and then counts from when it was sent.
  bench.now = 700;
  assert.equal(find(bench.ok(stored('node-a', '4')), 'acquired').validUntil, 4500);
});

test('a deleted record that somebody else created first ends the tenure', () => {
  const bench = Bench.holder();
  bench.sees(undefined, '3');
  bench.fails('already-exists');
  assert.equal(names(bench.ok(stored('node-b', '4')))[1], 'lost:taken');
});

test('a refused re-creation ends the tenure', () => {
  const bench = Bench.holder();
  bench.sees(undefined, '3');
  assert.ok(names(bench.fails('forbidden')).includes('lost:deleted'));
});

test('without a watch a deletion is found by the next renewal', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  bench.fire('renew');
  assert.ok(names(bench.fails('not-found')).includes('create'));
});

test('an absent record without a version is looked up before anything is given up', () => {
  const bench = Bench.holder();
  assert.deepEqual(names(bench.sees(undefined)), ['disarm:renew', 'arm:call', 'read']);
  assert.ok(names(bench.fails('not-found')).includes('create'));
});

test('an annotation by somebody else becomes the base of the next renewal', () => {
  const bench = Bench.holder();
  bench.sees(stored('node-a', '5'));
  assert.equal(find(bench.fire('renew'), 'update').base.version, '5');
});

test('a conflict without a thief is answered by a read and a renewal on what was read', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  bench.fire('renew');
  assert.ok(names(bench.fails('conflict')).includes('read'));
  assert.equal(find(bench.ok(stored('node-a', '9')), 'update').base.version, '9');
});

test('a hostile writer who always wins does not make the holder spin', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  bench.fire('renew');
  let calls = 1;
  for (let version = 3; ; version++) {
    if (!names(bench.fails('conflict')).includes('read')) break;
    bench.ok(stored('node-a', String(version)));
    calls += 2;
    assert.ok(calls < 20);
  }
  assert.ok(bench.state.timers.renew !== undefined);
});

test('an answer overtaken by the watch still renews, on the newer record', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  bench.fire('renew');
  bench.sees(stored('node-a', '4'));
  assert.equal(find(bench.ok(stored('node-a', '3')), 'renewed').validUntil, 5000);
  bench.now = 2000;
  assert.equal(find(bench.fire('renew'), 'update').base.version, '4');
});

test('old news from before the claim does not end the tenure', () => {
  const bench = Bench.holder();
  assert.deepEqual(names(bench.sees(stored('node-b', '1'))), []);
});

test('resigning takes the VIP down, releases, and stays out for the pause', () => {
  const bench = Bench.holder();
  bench.now = 100;
  const effects = bench.send({ kind: 'resign', pauseMs: 10_000 });
  assert.equal(names(effects)[0], 'lost:resigned');
  assert.equal(find(effects, 'update').record.holderIdentity, '');
  bench.now = 110;
  assert.equal(armed(bench.ok(stored('', '3')), 'pause'), 9990);
});

test('stopping takes the VIP down first, and releases within the renew deadline', () => {
  const bench = Bench.holder();
  const effects = bench.send({ kind: 'stop' });
  assert.equal(names(effects)[0], 'lost:released');
  assert.equal(armed(effects, 'release'), 3000);
  assert.deepEqual(names(bench.ok(stored('', '3'))).at(-1), 'finished');
});

test('a release that meets a conflict is tried again on what is there now', () => {
  const bench = Bench.holder();
  bench.fire('renew');
  bench.send({ kind: 'stop' });
  bench.fails('conflict');
  assert.equal(find(bench.ok(stored('node-a', '3')), 'update').base.version, '3');
  assert.equal(names(bench.ok(stored('', '4'))).at(-1), 'finished');
});

test('a release is not forced on somebody else, and ends when time is up', () => {
  const taken = Bench.holder();
  taken.send({ kind: 'stop' });
  taken.fails('conflict');
  assert.equal(names(taken.ok(stored('node-b', '3'))).at(-1), 'finished');

  const cut = Bench.holder();
  cut.send({ kind: 'stop' });
  cut.fails('unreachable');
  cut.fire('poll');
  cut.now = 3000;
  assert.equal(names(cut.fire('release')).at(-1), 'finished');
});

test('after a tenure that ran out the node campaigns again, letting others go first', () => {
  const bench = Bench.holder();
  bench.now = 4000;
  bench.fire('deadline');
  assert.equal(armed(bench.ok(stored('', '3')), 'take'), 500);
});

test('expiries of timers that were armed anew or cancelled mean nothing', () => {
  const bench = Bench.holder();
  const old = bench.state.timers.deadline;
  bench.now = 1000;
  bench.fire('renew');
  bench.ok(stored('node-a', '3'));
  bench.now = 3000;
  assert.deepEqual(names(bench.send({ kind: 'timer', name: 'deadline', generation: old ?? -1 })), []);
  assert.equal(bench.at, 'holding');
});

test('an older record on the watch that names another is looked up: it is late, or etcd was restored', () => {
  const bench = Bench.holder();
  bench.now = 500;
  assert.deepEqual(names(bench.sees(stored('node-a', '1'))), []);
  assert.deepEqual(names(bench.sees(stored('node-b', '1'))), ['disarm:renew', 'arm:call', 'read']);
  assert.equal(bench.at, 'holding');
  assert.deepEqual(names(bench.ok(stored('node-b', '1')))[1], 'lost:taken');
});

test('a holder renews on what it has read, be its version older than that of its last write', () => {
  const bench = Bench.holder();
  bench.now = 1000;
  bench.fire('renew');
  bench.fails('conflict');
  const renewal = find(bench.ok(stored('node-a', '1')), 'update');
  assert.equal(renewal.base.version, '1');
  assert.equal(renewal.record.holderIdentity, 'node-a');
});
