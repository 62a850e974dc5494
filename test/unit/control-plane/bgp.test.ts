import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ControlPlane, EveryNode } from '../../../src/control-plane/index.ts';
import { runHealthGate } from '../../../src/control-plane/health-gate.ts';
import { ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { NodeStore, Spec } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const vips = [
  { vip: ip('192.0.2.10'), prefixLength: 32 },
  { vip: ip('2001:db8::10'), prefixLength: 128 },
];
const form = { vips, link: 'lo', scope: 'host', noDad: false } as const;
const all = 'address 192.0.2.10, advertisement 192.0.2.10, address 2001:db8::10, advertisement 2001:db8::10';
const silent = 'address 192.0.2.10, address 2001:db8::10';

/** A node that notes what is published. */
function noting(happened: string[]): NodeStore {
  return {
    publish: (_owner, specs: readonly Spec[]) => {
      happened.push(specs.map(({ kind, vip }) => `${kind} ${vip}`).join(', '));
    },
    withdraw: () => happened.push('withdraw'),
    isPresent: () => false,
    status: () => [],
  };
}

function everyNode(isHealthy: boolean) {
  const happened: string[] = [];
  let end: () => void = () => undefined;
  const plane = new EveryNode(
    {
      node: noting(happened),
      sweep: () => happened.push('sweep'),
      endSessions: () => {
        happened.push('sessions end');
        return new Promise((resolve) => {
          end = resolve;
        });
      },
      log: silentLogger,
    },
    form,
    isHealthy,
  );
  const stop = new AbortController();
  const take = (): readonly string[] => happened.splice(0);
  const done = plane.run(stop.signal);
  return { plane, stop, take, done, end: () => end() };
}

describe('BGP without election', () => {
  test('CP-82 the VIPs are put on the link and advertised at once; then leftovers are swept', () => {
    assert.deepEqual(everyNode(true).take(), [all, 'sweep']);
  });

  test('CP-181 with a health check the address is there and the peers wait for the first good one', () => {
    const { plane, take } = everyNode(false);
    assert.deepEqual(take(), [silent, 'sweep']);
    plane.setHealthy(false, 'no answer');
    assert.deepEqual(take(), []);
    plane.setHealthy(true);
    assert.deepEqual(take(), [all]);
    plane.setHealthy(true);
    assert.deepEqual(take(), []);
    plane.setHealthy(false, 'no answer');
    assert.deepEqual(take(), [silent]);
  });

  test('CP-127 CP-184 at the end: the route first, then the sessions, and the address when they are over', async () => {
    const { plane, stop, take, done, end } = everyNode(true);
    take();
    stop.abort();
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.deepEqual(take(), [silent, 'sessions end']);
    plane.setHealthy(true);
    end();
    await done;
    assert.deepEqual(take().slice(-2), ['withdraw', 'sweep']);
    plane.setHealthy(true);
    assert.deepEqual(take(), [], 'the health check may still be running');
  });

  test('a process that is stopped before it begins leaves nothing', async () => {
    const happened: string[] = [];
    const parts = {
      node: noting(happened),
      sweep: () => happened.push('sweep'),
      endSessions: () => Promise.resolve(),
      log: silentLogger,
    };
    await new EveryNode(parts, form, true).run(AbortSignal.abort());
    assert.deepEqual(happened.slice(-2), ['withdraw', 'sweep']);
  });
});

describe('BGP with election', () => {
  function elected() {
    const happened: string[] = [];
    const unused = (): never => {
      throw new Error('not used');
    };
    const plane = new ControlPlane(
      {
        node: noting(happened),
        sweep: () => undefined,
        election: { run: unused, recheck: unused, resign: unused, status: unused },
        readHolder: unused,
        identity: 'node-a',
        clock: new FakeClock(),
        log: silentLogger,
      },
      {
        ...form,
        reach: 'bgp',
        announcePeriodMs: 3000,
        preserve: false,
        expire: false,
        preserveStopBudgetMs: 0,
        leftoverGraceMs: 1000,
        leaseDurationMs: 15_000,
      },
    );
    return { plane, take: (): readonly string[] => happened.splice(0) };
  }
  const fence = { holds: () => true };

  test('CP-82 the holder advertises, and withdraws when it no longer is', () => {
    const { plane, take } = elected();
    plane.acquired(fence);
    assert.deepEqual(take(), [all]);
    plane.lost('taken');
    assert.deepEqual(take(), ['withdraw']);
  });

  test('CP-182 the holder advertises while it is healthy', () => {
    const { plane, take } = elected();
    plane.setHealthy(false);
    assert.deepEqual(take(), [], 'it holds nothing yet');
    plane.acquired(fence);
    assert.deepEqual(take(), [silent]);
    plane.setHealthy(true);
    assert.deepEqual(take(), [all]);
    plane.lost('taken');
    plane.setHealthy(false);
    assert.deepEqual(take(), ['withdraw'], 'a former holder publishes nothing');
  });
});

test('CP-181 CP-182 a gate that starts closed opens with the first good check and closes with the third bad one', async () => {
  const clock = new FakeClock();
  const answers = ['bad', 'bad', '', 'bad', 'bad', '', 'bad', 'bad', 'bad', 'bad', ''];
  const heard: string[] = [];
  const stop = new AbortController();
  let checks = 0;
  const probe = (): Promise<string | undefined> => {
    checks++;
    return Promise.resolve(answers.shift() === 'bad' ? '500' : undefined);
  };
  const listener = {
    closed: (why: string, failures: number) => heard.push(`${checks} closed ${why} ${failures}`),
    reopened: () => heard.push(`${checks} opened`),
  };
  const options = { periodMs: 5000, timeoutMs: 3000, failureThreshold: 3, startsClosed: true };
  const done = runHealthGate(probe, options, listener, clock, stop.signal);
  await clock.advance(5000 * 10);
  stop.abort();
  await done;
  assert.deepEqual(heard, [
    '1 closed 500 1',
    '2 closed 500 2',
    '3 opened',
    '9 closed 500 3',
    '10 closed 500 4',
    '11 opened',
  ]);
});
