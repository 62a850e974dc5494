import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/lib/log.ts';
import { kernelOfStage, openStage, type Stage } from '../../../src/manager/rehearsal-stage.ts';
import type { Kernel } from '../../../src/linux/types.ts';
import { rehearse } from '../../../src/manager/rehearsal.ts';
import { LocalLinks, projectService, SliceProjector, type Service } from '../../../src/services/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { recordingLogger } from '../../../src/testing/logger.ts';
import { defaults } from '../services/scene.ts';

/** What the stage is given on a node with so many Services, every other one of them dual stack. */
async function given({ services: count = 200 } = {}) {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  kernel.addLink({ name: 'eth0' });
  const local = new LocalLinks({ kernel, clock, random: () => 0, log: silentLogger });
  const end = new AbortController();
  await local.start(() => undefined, end.signal);
  const services = new Map<string, Service>();
  const slices = new Map();
  const projector = new SliceProjector();
  for (let i = 0; i < count; i++) {
    const ingress = [{ ip: `10.9.0.${i}` }, ...(i % 2 === 0 ? [] : [{ ip: `fd00::${i}` }])];
    const metadata = { namespace: 'apps', name: `web-${i}`, uid: `uid-${i}` };
    const raw = {
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
      status: { loadBalancer: { ingress } },
    };
    services.set(`apps/web-${i}`, projectService({ metadata, ...raw }));
    const slice = {
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': `web-${i}` } },
      endpoints: [{ nodeName: 'n1', addresses: ['10.244.0.2'], conditions: { ready: true } }],
    };
    slices.set(`apps/web-${i}-abc`, projector.slice(slice));
  }
  const options = { ...defaults, node: 'n1' };
  const parts = { clock, kernel, local, options, routes: {}, services, slices };
  return { clock, end, kernel, parts, nothing: kernel.show(), timers: clock.timers().length };
}

/** Lets time pass until it has resolved. */
async function passing<T>(clock: FakeClock, what: Promise<T>): Promise<T> {
  const state = { isOver: false };
  void what.finally(() => (state.isOver = true)).catch(() => undefined);
  for (let turn = 0; !state.isOver && turn < 1000; turn++) await clock.advance(1);
  return what;
}

test('on the stage 160 Services are taken over as on a node, each time anew, and nothing is left', async () => {
  const { clock, end, kernel, parts, nothing, timers } = await given();
  let most = 0;
  const announced = new Set<string>();
  kernel.onSend(({ frame }) => {
    announced.add(Buffer.from(frame.subarray(28, 32)).join('.'));
    most = Math.max(most, kernel.showAddresses({ link: 'eth0' }).split(/ inet6? /).length - 1);
  });
  const stage = await passing(clock, openStage(parts, kernel));
  assert.equal(kernel.show(), nothing);
  for (let times = 0; times < 2; times++) {
    most = 0;
    announced.clear();
    await passing(clock, stage.takeOver());
    assert.ok(most > 160, `at most ${most} addresses at once`);
    assert.ok(announced.size >= 160, `${announced.size} VIPs announced`);
  }
  stage.rest();
  const before = kernel.frames.length;
  await clock.advance(60_000);
  assert.equal(kernel.frames.length, before, 'nothing is announced while it rests');
  await passing(clock, stage.close());
  assert.equal(kernel.show(), nothing);
  end.abort();
  assert.ok(clock.timers().length <= timers, 'nothing goes on');
});

test('on the kernel of the stage all is taken over, too, and the kernel of the node sees nothing of it', async () => {
  const { clock, kernel, parts, nothing } = await given();
  const { openHandles } = kernel;
  const before = kernel.frames.length;
  const deaf = kernelOfStage(kernel);
  const seen = { set: 0, sent: 0 };
  const watched: Kernel = {
    ...deaf,
    setAddresses: (requests) => {
      seen.set += requests.length;
      return deaf.setAddresses(requests);
    },
    openPacketSocket: (options) => {
      const socket = deaf.openPacketSocket(options);
      return {
        ...socket,
        send: () => {
          seen.sent++;
        },
      };
    },
  };
  const stage = await passing(clock, openStage(parts, watched));
  await passing(clock, stage.takeOver());
  await passing(clock, stage.takeOver());
  assert.equal(seen.set, 2 * (160 + 80));
  assert.ok(seen.sent >= 2 * 160, `${seen.sent} frames`);
  assert.equal(kernel.show(), nothing);
  assert.equal(kernel.frames.length, before);
  assert.deepEqual(kernel.openHandles, openHandles);
  await passing(clock, stage.close());
});

/** A stage that counts, on a node whose state is `now`. */
function rig() {
  const clock = new FakeClock();
  const log = recordingLogger();
  const now = { isIdle: false, fails: false };
  const story: string[] = [];
  const counting: Stage = {
    takeOver: async () => {
      await clock.sleep('take over', 2);
      story.push('take over');
    },
    rest: () => void story.push('rest'),
    close: async () => void story.push('close'),
  };
  const open = (): Promise<Stage> => {
    if (now.fails) return Promise.reject(new Error('the dump was refused'));
    story.push('open');
    return Promise.resolve(counting);
  };
  const end = new AbortController();
  const done = rehearse({ clock, log, isIdle: () => now.isIdle, openStage: open }, end.signal);
  const times = (): number => story.filter((what) => what === 'take over').length;
  return { clock, log, now, story, times, end, done };
}

test('a node that stands by rehearses on one stage after the other, with time between, and keeps the last', async () => {
  const { clock, log, now, story, times, done } = rig();
  await clock.advance(60_000);
  assert.equal(story.length, 0);
  now.isIdle = true;
  await clock.advance(5000 + 27 * 5);
  assert.ok(times() > 2 && times() < 8, `${times()} in 135 ms`);
  await clock.advance(2000);
  const stage = await done;
  const one = ['open', ...Array.from({ length: 4 }, () => 'take over'), 'close'];
  assert.deepEqual(story, [
    ...Array.from({ length: 8 }, () => one)
      .flat()
      .slice(0, -1),
    'rest',
  ]);
  assert.deepEqual(log.lines, ['debug taking over has been rehearsed']);
  assert.deepEqual(clock.timers(), []);
  assert.ok(stage !== undefined);
  await stage.close();
  assert.equal(story.at(-1), 'close');
});

test('a rehearsal makes way at once for what is real, keeps nothing meanwhile, and goes on later', async () => {
  const { clock, now, story, times, done } = rig();
  now.isIdle = true;
  await clock.advance(5000 + 27 * 5);
  const before = times();
  now.isIdle = false;
  await clock.advance(27);
  assert.equal(story.at(-1), 'close');
  await clock.advance(60_000);
  assert.ok(times() <= before + 1);
  now.isIdle = true;
  await clock.advance(10_000);
  await done;
  assert.equal(times(), 32);
});

test('the end of the process ends a rehearsal, and one that fails is given up with a warning', async () => {
  const ended = rig();
  ended.now.isIdle = true;
  await ended.clock.advance(5050);
  ended.end.abort();
  await ended.clock.advance(27);
  await ended.done;
  assert.equal(ended.story.at(-1), 'close');
  assert.deepEqual(ended.clock.timers(), []);

  const failed = rig();
  failed.now.isIdle = true;
  failed.now.fails = true;
  await failed.clock.advance(60_000);
  await failed.done;
  assert.deepEqual(failed.log.lines, ['warn taking over cannot be rehearsed']);
  assert.deepEqual(failed.log.fields, [{ error: 'the dump was refused' }]);
});
