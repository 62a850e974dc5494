import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ControlPlane, type ControlPlaneOptions } from '../../../src/control-plane/index.ts';
import type { Election, ElectionListener, LossReason } from '../../../src/election/types.ts';
import { ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { NodeStore, Spec } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const v4 = ip('192.0.2.10');
const v6 = ip('2001:db8::10');
const base: ControlPlaneOptions = {
  vips: [
    { vip: v4, prefixLength: 32 },
    { vip: v6, prefixLength: 128 },
  ],
  link: 'eth0',
  scope: 'global',
  noDad: false,
  reach: 'layer2' as const,
  announcePeriodMs: 3000,
  preserve: false,
  expire: false,
  preserveStopBudgetMs: 8_000,
  leftoverGraceMs: 1000,
  leaseDurationMs: 15_000,
};

/** A node that remembers what is published, an election that does what the test says, and one list of all that happened. */
function scene(
  { releaseMs = 0, ...options }: Partial<ControlPlaneOptions> & { readonly releaseMs?: number } = {},
  readHolder: () => Promise<string> = () => Promise.resolve(''),
) {
  const happened: string[] = [];
  let specs: readonly Spec[] = [];
  const node: NodeStore = {
    publish: (_owner, wanted) => {
      specs = wanted;
      happened.push(
        `publish ${wanted.map((s) => `${s.kind}:${s.vip}${'fence' in s ? '(fenced)' : ''}`).join(' ')}`,
      );
    },
    withdraw: () => {
      specs = [];
      happened.push('withdraw');
    },
    isPresent: (vip) => specs.some((spec) => spec.vip === vip),
    status: () => [],
  };
  let finish: () => void = () => undefined;
  const election: Election = {
    run: async (_listener: ElectionListener, signal: AbortSignal) => {
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          resolve();
        });
        finish = resolve;
      });
      if (releaseMs > 0) await clock.sleep('release', releaseMs);
      happened.push('release');
    },
    recheck: () => undefined,
    resign: () => undefined,
    status: () => {
      throw new Error('not used');
    },
  };
  const clock = new FakeClock();
  const lost: string[] = [];
  const told: { readonly held: boolean; readonly published: number }[] = [];
  const plane = new ControlPlane(
    {
      node,
      sweep: () => happened.push('sweep'),
      election,
      readHolder,
      identity: 'node-a',
      clock,
      log: silentLogger,
      observer: {
        lost: (reason) => lost.push(reason),
        holding: (held) => told.push({ held, published: specs.length }),
      },
    },
    { ...base, ...options },
  );
  const lose = (reason: LossReason): void => {
    plane.lost(reason);
  };
  return {
    plane,
    clock,
    happened,
    lose,
    lost,
    told,
    finish: () => finish(),
    specs: () => specs,
    wanted: () => specs.map((s) => `${s.kind}:${s.vip}`),
  };
}

const fence = { holds: () => true };

test('a holder publishes every VIP with its announcement, all fenced', () => {
  const { plane, happened } = scene();
  plane.acquired(fence);
  assert.equal(
    happened[0],
    `publish address:${v4}(fenced) announcement:${v4}(fenced) address:${v6}(fenced) announcement:${v6}(fenced)`,
  );
});

test('the VIPs are balanced before they are on the node, and after they have left it', () => {
  const { plane, lose, told } = scene();
  plane.acquired(fence);
  lose('resigned');
  assert.deepEqual(told, [
    { held: true, published: 0 },
    { held: false, published: 0 },
  ]);
});

test('with vip_expire_with_lease the VIPs live no longer than the tenure', () => {
  const { plane, specs } = scene({ expire: true });
  plane.acquired(fence);
  const lifetimes = specs().flatMap((spec) => (spec.kind === 'address' ? [spec.validLifetime] : []));
  assert.deepEqual(lifetimes, ['tenure', 'tenure']);
});

test('losing withdraws before lost() returns', () => {
  const { plane, lose, wanted, lost } = scene();
  plane.acquired(fence);
  lose('renew-deadline');
  assert.deepEqual(wanted(), []);
  assert.deepEqual(lost, ['renew-deadline']);
});

test('CP-120 with preservation the IPv4 VIP stays after a loss, silent, while nobody else leads', () => {
  const { plane, lose, wanted } = scene({ preserve: true });
  plane.acquired(fence);
  lose('renew-deadline');
  plane.observed('');
  assert.deepEqual(wanted(), [`address:${v4}`]);
});

test('CP-121 a preserved VIP goes when another node becomes holder, not when our own stale record is read', () => {
  const { plane, lose, wanted } = scene({ preserve: true });
  plane.acquired(fence);
  lose('renew-deadline');
  plane.observed('node-a');
  assert.deepEqual(wanted(), [`address:${v4}`]);
  plane.observed('node-b');
  assert.deepEqual(wanted(), []);
});

test('CP-122 with preservation an IPv6 VIP goes at once', () => {
  const { plane, lose, wanted } = scene({ preserve: true });
  plane.acquired(fence);
  lose('taken');
  assert.ok(!wanted().includes(`address:${v6}`));
});

test('CP-123 with preservation a restart leaves the VIP until another holder is seen', async () => {
  const { plane, clock, happened } = scene({ preserve: true });
  const stop = new AbortController();
  const running = plane.run(stop.signal);
  await clock.advance(60_000);
  plane.observed('');
  plane.observed('node-a');
  assert.deepEqual(happened, []);
  plane.observed('node-b');
  assert.deepEqual(happened, ['sweep']);
  stop.abort();
  await running;
});

test('without preservation leftovers go when the lease names another node, and are kept while it names this one', async () => {
  const { plane, happened, clock } = scene();
  const stop = new AbortController();
  const running = plane.run(stop.signal);
  plane.observed('node-a');
  assert.deepEqual(happened, []);
  plane.observed('node-b');
  assert.deepEqual(happened, ['sweep']);
  await clock.advance(5000);
  assert.deepEqual(happened, ['sweep']);
  stop.abort();
  await running;
});

test('leftovers go when the lease cannot be read in time', async () => {
  const { plane, happened, clock } = scene();
  const stop = new AbortController();
  const running = plane.run(stop.signal);
  await clock.advance(999);
  assert.deepEqual(happened, []);
  await clock.advance(1);
  assert.deepEqual(happened, ['sweep']);
  stop.abort();
  await running;
});

test('CP-131 preservation and SIGTERM: the VIP stays until another node leads, then goes before the process ends', async () => {
  let holder = '';
  const { plane, lose, clock, wanted } = scene({ preserve: true }, () => Promise.resolve(holder));
  const stop = new AbortController();
  const running = plane.run(stop.signal);
  plane.acquired(fence);
  lose('released');
  stop.abort();
  await clock.advance(2000);
  assert.deepEqual(wanted(), [`address:${v4}`]);
  holder = 'node-b';
  await clock.advance(200);
  await running;
  assert.deepEqual(wanted(), []);
});

test('preservation never outlives its budget when nobody takes over', async () => {
  const { plane, lose, clock, wanted } = scene({ preserve: true });
  const stop = new AbortController();
  const running = plane.run(stop.signal);
  plane.acquired(fence);
  lose('released');
  stop.abort();
  await clock.advance(7_900);
  assert.deepEqual(wanted(), [`address:${v4}`]);
  await clock.advance(100);
  await running;
  assert.deepEqual(wanted(), []);
  assert.deepEqual(clock.timers(), []);
});

test('a preserved VIP goes in time although neither the release nor the API server answers', async () => {
  const silence = new Promise<string>(() => undefined);
  for (const releaseMs of [0, 30_000]) {
    const { plane, lose, clock, wanted } = scene({ preserve: true, releaseMs }, () => silence);
    const stop = new AbortController();
    const running = plane.run(stop.signal);
    plane.acquired(fence);
    lose('renew-deadline');
    stop.abort();
    await clock.advance(7_900);
    assert.deepEqual(wanted(), [`address:${v4}`]);
    await clock.advance(100);
    assert.deepEqual(wanted(), []);
    await clock.advance(releaseMs);
    await running;
  }
});
