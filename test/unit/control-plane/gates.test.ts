import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOperational, runHealthGate, StandAside, watchLinkGate } from '../../../src/control-plane/index.ts';
import type { Kernel, KernelEvent, Link, OperState } from '../../../src/linux/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

function linkOf(operState: OperState, kind?: string): Link {
  return {
    index: 2,
    name: 'eth0',
    hardwareType: 1,
    mac: '02:00:00:00:00:01' as Link['mac'],
    broadcast: 'ff:ff:ff:ff:ff:ff' as Link['mac'],
    mtu: 1500,
    operState,
    adminUp: true,
    carrier: operState === 'up',
    loopback: false,
    kind,
    master: undefined,
  };
}

function linkScene(downMs: number | undefined) {
  let link: Link | undefined = linkOf('up');
  let tell: (event: KernelEvent) => void = () => undefined;
  const kernel: Pick<Kernel, 'linkByName' | 'watch'> = {
    linkByName: () => link,
    watch: (_kinds, onEvent) => {
      tell = onEvent;
      return { close: () => undefined };
    },
  };
  const clock = new FakeClock();
  const start = clock.now();
  const seen: string[] = [];
  const gate = watchLinkGate(
    kernel,
    clock,
    { name: 'eth0', downMs },
    {
      down: (why) => seen.push(`${why}, after ${clock.now() - start}`),
      up: (name) => seen.push(`up ${name}`),
    },
  );
  const set = (next: Link | undefined): void => {
    link = next;
    tell({ kind: 'link', change: next === undefined ? 'gone' : 'set', link: next ?? linkOf('down') });
  };
  /** `isKept`: the old name goes on leading to it. */
  const rename = (name: string, isKept = false): void => {
    const renamed = { ...linkOf('up'), name };
    link = isKept || name === 'eth0' ? renamed : undefined;
    tell({ kind: 'link', change: 'set', link: renamed });
  };
  return { set, rename, clock, seen, gate };
}

test('a flap shorter than the timeout is not reported', async () => {
  const { set, clock, seen } = linkScene(30_000);
  set(linkOf('lowerlayerdown'));
  await clock.advance(29_000);
  set(linkOf('up'));
  await clock.advance(60_000);
  assert.deepEqual(seen, []);
});

test('a link down for the whole timeout is reported once, and so is its return', async () => {
  const { set, clock, seen, gate } = linkScene(30_000);
  set(linkOf('down', 'bond'));
  await clock.advance(60_000);
  set(linkOf('up', 'bond'));
  assert.deepEqual(seen, ['link eth0 down for 30000 ms, after 30000', 'up eth0']);
  gate.close();
  assert.deepEqual(clock.timers(), []);
});

test('a timeout of 0 reports a link that is down at once, and does not turn in circles', async () => {
  const { set, clock, seen } = linkScene(0);
  set(linkOf('down'));
  await clock.advance(0);
  assert.deepEqual(seen, ['link eth0 down for 0 ms, after 0']);
  assert.deepEqual(clock.timers(), []);
});

test('a node stands aside while the reason lasts: pauses overlap, and the last one is short', async () => {
  const clock = new FakeClock();
  const start = clock.now();
  const pauses: { readonly from: number; readonly to: number }[] = [];
  const aside = new StandAside(
    {
      resign: (why, pauseMs) => {
        assert.equal(why, 'no link');
        pauses.push({ from: clock.now() - start, to: clock.now() - start + pauseMs });
      },
    },
    clock,
  );
  aside.from('no link');
  await clock.advance(30_000);
  aside.from('still no link');
  await clock.advance(30_000);
  aside.over();
  await clock.advance(30_000);
  for (const [i, pause] of pauses.entries())
    assert.ok(pause.from < (pauses[i - 1]?.to ?? 1), `gap before ${i}`);
  const last = pauses.at(-1)?.to ?? 0;
  assert.ok(last > 60_000 && last <= 62_000, `out of the race until ${last}`);
  assert.deepEqual(clock.timers(), []);
});

for (const downMs of [30_000, undefined])
  test(`a link that vanished, or has another name, is reported after a second, where ${downMs} ms of down are none`, async () => {
    const { set, clock, seen, rename } = linkScene(downMs);
    set(undefined);
    await clock.advance(900);
    set(linkOf('up'));
    await clock.advance(5000);
    assert.deepEqual(seen, []);
    set(undefined);
    await clock.advance(1000);
    set(linkOf('up'));
    assert.deepEqual(seen, ['link eth0 does not exist any more, after 6900', 'up eth0']);
    seen.length = 0;
    rename('lan0');
    await clock.advance(60_000);
    rename('eth0');
    assert.deepEqual(seen, ['link eth0 is called lan0 now, after 7900', 'up eth0']);
  });

test('one that keeps its old name as an alternative one is another link all the same', async () => {
  const { clock, seen, rename } = linkScene(undefined);
  rename('lan0', true);
  await clock.advance(1000);
  assert.deepEqual(seen, ['link eth0 is called lan0 now, after 1000']);
});

test('a link that is down may be so for ever where that is not asked for', async () => {
  const { set, clock, seen } = linkScene(undefined);
  set(linkOf('down'));
  await clock.advance(3600_000);
  assert.deepEqual(seen, []);
  assert.deepEqual(clock.timers(), []);
});

test('a link that goes down and then away is reported when the first of both lasts long enough', async () => {
  const { set, clock, seen } = linkScene(30_000);
  set(linkOf('down'));
  await clock.advance(10_000);
  set(undefined);
  await clock.advance(60_000);
  assert.deepEqual(seen, ['link eth0 does not exist any more, after 11000']);
});

test('unknown operational state counts as up (lo, tunnels)', () => {
  assert.equal(isOperational(linkOf('unknown')), true);
  assert.equal(isOperational({ ...linkOf('unknown'), adminUp: false }), false);
  assert.equal(isOperational(undefined), false);
});

test('the health gate closes after the threshold, repeats while closed, and opens on the first success', async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const seen: string[] = [];
  let problem: string | undefined = 'refused';
  const running = runHealthGate(
    () => Promise.resolve(problem),
    { periodMs: 5000, timeoutMs: 3000, failureThreshold: 3 },
    {
      closed: (why, failures) => void seen.push(`closed ${why} ${failures}`),
      reopened: () => void seen.push('open'),
    },
    clock,
    stop.signal,
  );
  await clock.advance(9999);
  assert.deepEqual(seen, []);
  await clock.advance(5001);
  assert.deepEqual(seen, ['closed refused 3', 'closed refused 4']);
  problem = undefined;
  await clock.advance(5000);
  assert.deepEqual(seen.slice(-1), ['open']);
  stop.abort();
  await running;
});

test('a check that does not answer in time counts as failed', async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const seen: string[] = [];
  const running = runHealthGate(
    (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(new Error('aborted'));
        });
      }),
    { periodMs: 5000, timeoutMs: 3000, failureThreshold: 1 },
    { closed: (why) => seen.push(why), reopened: () => undefined },
    clock,
    stop.signal,
  );
  await clock.advance(3000);
  assert.deepEqual(seen, ['no answer within 3000 ms']);
  stop.abort();
  await running;
});
