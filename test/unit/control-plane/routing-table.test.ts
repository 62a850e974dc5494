import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTargets, RoutingTable, selfTargets } from '../../../src/control-plane/index.ts';
import { ip, type Family } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { NodeStore, Spec } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const vips = [
  { vip: ip('10.0.0.5'), prefixLength: 32 },
  { vip: ip('fd00::5'), prefixLength: 128 },
];

function stage(first: Partial<Record<Family, string>> = {}) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const problems = new Map<Family, string | undefined>([
    [4, first[4]],
    [6, first[6]],
  ]);
  const node: Pick<NodeStore, 'publish' | 'withdraw'> = {
    publish: (_owner, specs) => lines.push(`publish ${specs.map(show).join(', ')}`.trim()),
    withdraw: () => lines.push('withdraw'),
  };
  let hangs = false;
  const table = new RoutingTable(
    {
      node: node as NodeStore,
      sweep: () => lines.push('sweep'),
      check: (family, signal) =>
        hangs
          ? new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => {
                reject(signal.reason as Error);
              });
            })
          : Promise.resolve(problems.get(family)),
      clock,
      log: silentLogger,
      observer: {
        checked: () => lines.push('checked'),
        serving: (now) => lines.push(`serving ${now.join(' ')}`.trim()),
      },
    },
    { vips, link: 'eth0', scope: 'global', noDad: true, periodMs: 5000, timeoutMs: 10_000 },
  );
  const stop = new AbortController();
  const running = table.run(stop.signal);
  return {
    clock,
    problems,
    table,
    seen: () => lines.splice(0),
    hang: () => {
      hangs = true;
    },
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

function show(spec: Spec): string {
  return spec.kind === 'route' ? `route ${spec.vip} turn ${spec.turn}` : `${spec.kind} ${spec.vip}`;
}

test('healthy from the start: address and route, then one turn with each check', async () => {
  const { clock, seen, stop } = stage({ 6: 'refused' });
  await clock.advance(0);
  assert.deepEqual(seen(), [
    'publish address 10.0.0.5, route 10.0.0.5 turn 0',
    'serving 10.0.0.5',
    'sweep',
    'checked',
  ]);
  await clock.advance(10_000);
  assert.deepEqual(seen(), [
    'publish address 10.0.0.5, route 10.0.0.5 turn 1',
    'publish address 10.0.0.5, route 10.0.0.5 turn 2',
  ]);
  await stop();
  assert.deepEqual(seen(), ['withdraw', 'sweep']);
});

test('one failed check takes both away, the next good one brings them back', async () => {
  const { clock, problems, seen, stop } = stage({ 6: 'refused' });
  await clock.advance(0);
  seen();
  problems.set(4, 'refused');
  await clock.advance(5000);
  assert.deepEqual(seen(), ['publish', 'serving']);
  problems.set(4, undefined);
  problems.set(6, undefined);
  await clock.advance(5000);
  assert.deepEqual(seen(), [
    'publish address 10.0.0.5, route 10.0.0.5 turn 0, address fd00::5, route fd00::5 turn 0',
    'serving 10.0.0.5 fd00::5',
  ]);
  await stop();
});

test('unhealthy at the start: what a predecessor left is swept at once', async () => {
  const { clock, seen, stop } = stage({ 4: 'refused', 6: 'refused' });
  await clock.advance(0);
  assert.deepEqual(seen(), ['publish', 'sweep', 'checked']);
  await stop();
});

test('an API server that does not answer is unhealthy after one period, and checks never overlap', async () => {
  const { clock, hang, seen, stop } = stage();
  await clock.advance(0);
  seen();
  hang();
  await clock.advance(9999);
  assert.deepEqual(seen(), []);
  await clock.advance(1);
  assert.deepEqual(seen(), ['publish', 'serving']);
  await stop();
});

test('a recheck does not wait for the period', async () => {
  const { clock, problems, seen, stop, table } = stage({ 4: 'refused', 6: 'refused' });
  await clock.advance(0);
  seen();
  problems.set(6, undefined);
  table.recheck();
  await clock.advance(0);
  assert.deepEqual(seen(), ['publish address fd00::5, route fd00::5 turn 0', 'serving fd00::5']);
  await stop();
});

test('checks go to the InternalIPs of the family, and to the loopback address while the Node is unknown', () => {
  assert.deepEqual(selfTargets(undefined, 4), ['127.0.0.1']);
  assert.deepEqual(selfTargets(undefined, 6), ['::1']);
  const addresses = [
    { type: 'Hostname', address: 'n1' },
    { type: 'InternalIP', address: '10.0.0.1' },
    { type: 'InternalIP', address: 'FD00:0::1' },
    { type: 'ExternalIP', address: '192.0.2.1' },
  ];
  const node = { metadata: {}, status: { addresses } };
  assert.deepEqual(selfTargets(node, 4), ['10.0.0.1']);
  assert.deepEqual(selfTargets(node, 6), ['fd00::1']);
});

test('one target that serves is enough; none says what each answered', async () => {
  const [a, b] = [ip('10.0.0.1'), ip('10.0.0.2')];
  const answers = new Map([[a, '/version answered 500']]);
  assert.equal(await checkTargets([a, b], 4, (target) => Promise.resolve(answers.get(target))), undefined);
  const refuse = (target: typeof a): Promise<string | undefined> =>
    answers.has(target) ? Promise.resolve(answers.get(target)) : Promise.reject(new Error('refused'));
  assert.equal(await checkTargets([a, b], 4, refuse), '10.0.0.1: /version answered 500; 10.0.0.2: refused');
  assert.equal(await checkTargets([], 6, refuse), 'the Node has no InternalIP of IPv6');
});
