import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runHealthGate } from '../../../src/control-plane/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { actOnHealth } from '../../../src/manager/health.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const gate = { periodMs: 5000, timeoutMs: 3000, failureThreshold: 3 };

/** A node whose check answers as it is told; what it does about it, with the seconds. */
function scene(isLayer2: boolean): {
  readonly clock: FakeClock;
  readonly seen: string[];
  readonly answer: (problem: string | undefined) => void;
} {
  const clock = new FakeClock();
  const seen: string[] = [];
  const note = (text: string): void => {
    const line = `${clock.now() / 1000} ${text}`;
    if (seen.at(-1)?.endsWith(` ${text}`) !== true) seen.push(line);
  };
  let problem: string | undefined = 'no route';
  const { probe, listener } = actOnHealth({
    check: { probe: async () => problem, gate },
    isLayer2,
    aside: {
      from: () => {
        note('aside');
      },
      over: () => {
        note('back');
      },
    },
    clock,
    log: {
      ...silentLogger,
      warn: (message) => {
        note(message.replace(/,.*/, ''));
      },
    },
    tell: () => undefined,
  });
  void runHealthGate(probe, gate, listener, clock, new AbortController().signal);
  return { clock, seen, answer: (next) => (problem = next) };
}

test('in layer 2 a check that has never been good keeps a node out for half a minute, and then no more', async () => {
  const { clock, seen } = scene(true);
  const start = clock.now() / 1000;
  await clock.advance(600_000);
  assert.deepEqual(seen, [
    `${start + 10} aside`,
    `${start + 40} back`,
    `${start + 40} the health check has never been good`,
    `${start + 45} back`,
  ]);
});

test('one good answer, also a late one, makes the check count for good', async () => {
  const { clock, seen, answer } = scene(true);
  const start = clock.now() / 1000;
  await clock.advance(101_000);
  seen.length = 0;
  answer(undefined);
  await clock.advance(20_000);
  answer('no route');
  await clock.advance(600_000);
  assert.deepEqual(seen, [`${start + 105} back`, `${start + 135} aside`]);
});

test('with BGP election such a node never comes back by itself, as with kube-vip', async () => {
  const { clock, seen } = scene(false);
  const start = clock.now() / 1000;
  await clock.advance(600_000);
  assert.deepEqual(seen, [`${start + 10} aside`]);
});
