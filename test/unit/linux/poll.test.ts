import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../../../src/linux/clock.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { Poller } from '../../../src/linux/poll.ts';
import * as sys from '../../../src/linux/sys.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const doing = { op: 'test' };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Pair {
  readonly ours: number;
  readonly send: (...bytes: number[]) => void;
  readonly close: () => void;
}

function pair(): Pair {
  const [ours, theirs] = sys.socketPair(doing, sys.SOCK_DGRAM);
  let isOpen = true;
  return {
    ours,
    send: (...bytes) => void sys.send(doing, theirs, Uint8Array.from(bytes)),
    close: () => {
      if (isOpen) [ours, theirs].forEach(sys.close);
      isOpen = false;
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < 100_000, 'nothing arrived');
    await turn();
  }
}

function collect(poller: Poller, fd: number): { got: number[]; close: () => void } {
  const got: number[] = [];
  const reading = poller.read(fd, {
    doing,
    onDatagram: (bytes) => void got.push(...bytes),
    onError: (error) => assert.fail(error.message),
  });
  return { got, close: () => reading.close() };
}

for (const forceFallback of [false, true]) {
  const how = forceFallback ? 'by the fallback' : 'by readiness';

  test(`datagrams are delivered in order, ${how}`, async () => {
    const poller = new Poller(systemClock(), { forceFallback });
    const { ours, send, close } = pair();
    const reader = collect(poller, ours);
    send(1);
    send(2, 3);
    assert.deepEqual(reader.got, []);
    await until(() => reader.got.length === 3);
    send(4);
    await until(() => reader.got.length === 4);
    assert.deepEqual(reader.got, [1, 2, 3, 4]);
    reader.close();
    reader.close();
    close();
  });

  test(`nothing is delivered after close, ${how}`, async () => {
    const poller = new Poller(systemClock(), { forceFallback });
    const { ours, send, close } = pair();
    const reader = collect(poller, ours);
    send(1);
    reader.close();
    for (let i = 0; i < 20; i++) await turn();
    assert.deepEqual(reader.got, []);
    close();
  });

  test(`a reader closes itself from its own callback, ${how}`, async () => {
    const poller = new Poller(systemClock(), { forceFallback });
    const { ours, send, close } = pair();
    const got: number[] = [];
    const reading = poller.read(ours, {
      doing,
      onDatagram: (bytes) => {
        got.push(...bytes);
        reading.close();
      },
      onError: () => undefined,
    });
    send(1);
    send(2);
    await until(() => got.length > 0);
    for (let i = 0; i < 20; i++) await turn();
    assert.deepEqual(got, [1]);
    close();
  });
}

test('the garbage collector does not end a subscription nobody holds', async () => {
  setFlagsFromString('--expose_gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const { ours, send, close } = pair();
  const reader = collect(new Poller(systemClock()), ours);
  for (let i = 0; i < 3; i++) {
    await turn();
    collectGarbage();
  }
  send(7);
  await until(() => reader.got.length === 1);
  reader.close();
  close();
});

test('a full queue does not starve the event loop', async () => {
  let wake: (() => boolean) | undefined;
  const clock = new FakeClock();
  const poller = new Poller(clock, {
    watchReadable: (_, drain) => {
      wake = drain;
      return () => undefined;
    },
  });
  const { ours, close } = pair();
  let received = 0;
  const reading = poller.read(ours, {
    doing,
    onDatagram: () => {
      received++;
      sys.send(doing, peerOf(ours), Uint8Array.of(1));
    },
    onError: () => undefined,
  });
  sys.send(doing, peerOf(ours), Uint8Array.of(1));
  assert.equal(wake?.(), true);
  assert.ok(received > 0 && received <= 256, `${received} in one turn`);
  reading.close();
  close();
});

/** The other end of `pair()`: descriptors are handed out in order. */
function peerOf(fd: number): number {
  return fd + 1;
}

test('a wrong descriptor is reported once as a bug and left alone', () => {
  let wake: (() => boolean) | undefined;
  const poller = new Poller(new FakeClock(), {
    watchReadable: (_, drain) => {
      wake = drain;
      return () => undefined;
    },
  });
  const errors: number[] = [];
  poller.read(9999, {
    doing,
    onDatagram: () => undefined,
    onError: (error) => void errors.push(error.errno),
  });
  assert.equal(wake?.(), false);
  assert.equal(wake(), false);
  assert.deepEqual(errors, [errnoOf.EBADF]);
});

test('where readiness never comes the self-test says so and the fallback takes over', async () => {
  const clock = new FakeClock();
  const reasons: string[] = [];
  const poller = new Poller(clock, {
    watchReadable: () => () => undefined,
    onFallback: (reason) => void reasons.push(reason),
  });
  const { ours, send, close } = pair();
  const reader = collect(poller, ours);
  send(5);
  await clock.advance(1999);
  assert.deepEqual([reasons, reader.got], [[], []]);
  await clock.advance(1);
  await until(() => reader.got.length === 1);
  assert.deepEqual(reasons, ['no readiness event within 2000 ms']);
  reader.close();
  close();
});

test('where readiness works the self-test ends without a trace', async () => {
  const clock = new FakeClock();
  const poller = new Poller(clock, { onFallback: (reason) => assert.fail(reason) });
  const { ours, close } = pair();
  const reader = collect(poller, ours);
  await until(() => clock.timers().length === 0);
  await clock.advance(5000);
  reader.close();
  close();
});
