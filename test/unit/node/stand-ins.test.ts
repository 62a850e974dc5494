import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fence } from '../../../src/lib/fence.ts';
import { ip } from '../../../src/lib/ip.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { createNode, type NodeOptions, type Spec } from '../../../src/node/index.ts';
import type { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { loggerTo } from '../../../src/testing/logger.ts';
import { addressOf, announcementOf, both, scene, type Scene } from './scene.ts';

const crowd = 300;
const vips = Array.from({ length: 900 }, (_, i) => `10.9.${i >> 8}.${i & 255}`);
/** One that comes when there is a crowd, and while others wait. */
const late = vips[500] ?? '';

const standing = (kernel: FakeKernel): Promise<number> =>
  kernel.routes({ table: 255, protocol: 248 }).then((routes) => routes.length);
const onLink = ({ marked }: Pick<Scene, 'marked'>): number => marked().split('\n').filter(Boolean).length;

/** With one who holds all these VIPs, and others that wait: time stands still until it is told to go on. */
async function crowded(
  specs: readonly Spec[] = vips.flatMap((vip) => both(vip)),
  options: NodeOptions = {},
): Promise<Scene> {
  // With its last IPv4 address the link would lose all routes.
  const stage = await scene((kernel) => kernel.putAddress('eth0', '192.0.2.200', 24), { crowd, ...options });
  stage.node.publish('control-plane', specs);
  while (!specs.every(({ vip }) => stage.node.isPresent(vip))) await stage.clock.advance(0);
  return stage;
}

test('of very many VIPs the last ones are answered for by routes, and announced, before their addresses follow', async () => {
  const { node, kernel, clock, marked, sent } = await crowded();
  const routes = await kernel.routes({ table: 255, protocol: 248 });
  assert.ok(routes.length > 200, `${routes.length} stand in`);
  assert.equal(onLink({ marked }), vips.length - routes.length);
  assert.ok(node.isBusy());
  assert.ok(onLink({ marked }) >= crowd, 'the crowd itself came without');
  assert.ok(!marked().includes(` ${late}/32 `));
  assert.ok(node.isPresent(ip(late)));
  assert.ok(sent().some((frame) => frame.includes(`reply ${late} `) || frame.includes(`request ${late} `)));
  assert.deepEqual(
    routes.find(({ destination }) => destination?.address === late),
    {
      family: 4,
      destination: { address: late, length: 32 },
      table: 255,
      protocol: 248,
      scope: 'host',
      type: 2,
      nextHops: [{ gateway: undefined, ifindex: kernel.link('eth0').index, weight: 1 }],
      priority: 248,
      source: undefined,
      realm: undefined,
    },
  );
  await clock.advance(100);
  assert.equal(onLink({ marked }), vips.length);
  assert.equal(await standing(kernel), 0);
  assert.ok(!node.isBusy());
  assert.deepEqual([node.counters().added, node.counters().restored], [vips.length, 0]);
  await clock.advance(60_000);
  assert.deepEqual([node.counters().added, node.counters().restored], [vips.length, 0]);
  node.close();
});

test('one VIP more on such a link is an address at once, and so is one that does not last or has a subnet', async () => {
  const { node, kernel, clock, marked } = await crowded(vips.slice(0, 400).flatMap((vip) => both(vip)));
  await clock.advance(100);
  node.publish('service/test/one', both('10.10.0.1'));
  assert.ok(marked().includes(' 10.10.0.1/32 '));
  const others = vips
    .slice(400)
    .map((vip, i) => addressOf(vip, i % 2 === 0 ? { validLifetime: 60 } : { prefixLength: 24 }));
  node.publish('service/test/others', others);
  while (node.isBusy()) {
    assert.equal(await standing(kernel), 0);
    await clock.advance(0);
  }
  node.close();
});

test('the addresses follow in turns', async () => {
  const { node, kernel, clock } = await crowded();
  const turns: number[] = [];
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    turns.push(requests.length);
    clock.pause(requests.length * 0.25);
    return set(requests);
  };
  await clock.advance(1000);
  assert.equal(await standing(kernel), 0);
  // 8 ms of a quarter each, once the first has shown that.
  assert.ok(Math.max(...turns.slice(1)) <= 32, turns.join());
  node.close();
});

test('what is withdrawn meanwhile leaves no route, and comes to no address', async () => {
  const { node, kernel, clock, marked } = await crowded();
  assert.ok((await standing(kernel)) > 0);
  node.withdraw('control-plane');
  assert.deepEqual([marked(), await standing(kernel)], ['', 0]);
  await clock.advance(100);
  assert.deepEqual([marked(), node.status()], ['', []]);
  // Nothing is still expected of the kernel: who takes the address away afterwards is noticed.
  node.publish('control-plane', both(late));
  kernel.takeAddress('eth0', late, 32);
  await clock.advance(0);
  assert.ok(marked().includes(` ${late}/32 `));
  assert.equal(node.counters().restored, 1);
  node.close();
});

test('no address follows a fence that has fallen', async () => {
  let holds = true;
  const fence: Fence = { holds: () => holds };
  const { node, kernel, clock, marked } = await crowded(vips.flatMap((vip) => both(vip, fence)));
  const [before, routes] = [onLink({ marked }), await standing(kernel)];
  holds = false;
  await clock.advance(5000);
  assert.deepEqual([onLink({ marked }), await standing(kernel)], [before, routes]);
  holds = true;
  await clock.advance(1100);
  assert.deepEqual([onLink({ marked }), await standing(kernel)], [vips.length, 0]);
  node.close();
});

test('a full check meanwhile takes the stand-ins for what they stand for', async () => {
  const { node, kernel, clock } = await crowded();
  kernel.loseEvents();
  const dumps = node.counters().dumps;
  await clock.flush();
  assert.ok(node.counters().dumps > dumps);
  assert.ok((await standing(kernel)) > 0);
  await clock.advance(100);
  assert.deepEqual([node.counters().restored, await standing(kernel)], [0, 0]);
  node.close();
});

test('what a killed process has left is swept, or adopted and made whole', async () => {
  for (const isWanted of [false, true]) {
    const { node, kernel, clock, marked, restart } = await crowded();
    assert.ok((await standing(kernel)) > 0);
    node.close();
    const next = await restart();
    assert.equal(next.leftovers().length, vips.length);
    if (isWanted)
      next.publish(
        'control-plane',
        vips.flatMap((vip) => both(vip)),
      );
    while (next.status().some(({ state }) => state.state !== 'ready')) await clock.advance(0);
    assert.ok((await standing(kernel)) > 0, 'none leaves before somebody says so');
    next.sweep();
    await clock.advance(1100);
    assert.deepEqual([onLink({ marked }), await standing(kernel)], [isWanted ? vips.length : 0, 0]);
    assert.deepEqual([next.counters().restored, next.leftovers()], [0, []]);
    if (isWanted) assert.equal(next.counters().adopted, vips.length);
    next.close();
  }
});

test('a route of others is no stand-in: it is neither adopted nor removed', async () => {
  const { node, kernel, clock } = await scene((k) => {
    const ifindex = k.link('eth0').index;
    for (const [i, priority] of [undefined, 7, 248].entries())
      k.setRoute({
        family: 4,
        destination: { address: ip(`10.9.${i}.0`), length: priority === 248 ? 24 : 32 },
        table: 255,
        protocol: 248,
        scope: 'host',
        type: 2,
        nextHops: [{ gateway: undefined, ifindex, weight: 1 }],
        priority,
        source: undefined,
        realm: undefined,
      });
  });
  assert.deepEqual(node.leftovers(), []);
  node.sweep();
  await clock.advance(5000);
  assert.equal(await standing(kernel), 3);
  node.close();
});

test('an address that Linux refuses then is tried again as any other', async () => {
  const { node, kernel, clock, marked, news } = await crowded([
    ...vips.map((vip) => addressOf(vip)),
    announcementOf(late),
  ]);
  kernel.failNext('set address', errnoOf.ENOBUFS, 2);
  await clock.advance(10_000);
  assert.deepEqual([onLink({ marked }), await standing(kernel)], [vips.length, 0]);
  assert.equal(news.filter((line) => line.startsWith('restored')).length, 2);
  node.close();
});

test('a link that goes takes its stand-ins along', async () => {
  const { node, kernel, clock, marked } = await crowded();
  kernel.removeLink('eth0');
  await clock.advance(100);
  assert.deepEqual([marked(), await standing(kernel)], ['', 0]);
  kernel.addLink({ name: 'eth0' });
  await clock.advance(100);
  assert.deepEqual([onLink({ marked }), await standing(kernel)], [vips.length, 0]);
  node.close();
});

test('on a link of a VRF, which looks up another table, nothing stands in', async () => {
  const { node, kernel, clock } = await scene(
    (k) => {
      k.setMaster('eth0', k.addLink({ name: 'vrf0', kind: 'vrf' }).index);
      k.putAddress('eth0', '192.0.2.200', 24);
    },
    { crowd },
  );
  node.publish(
    'control-plane',
    vips.flatMap((vip) => both(vip)),
  );
  while (node.isBusy()) {
    assert.equal(await standing(kernel), 0);
    await clock.advance(0);
  }
  node.close();
});

test('a list that is older than a stand-in says nothing about it', async () => {
  const { node, kernel, clock, marked } = await crowded();
  // One that is an address already goes and comes back as a stand-in, while a list is under way that still has it.
  const early = vips[0] ?? '';
  const list = kernel.addresses.bind(kernel);
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  kernel.addresses = async () => {
    const listed = await list();
    await gate;
    return listed;
  };
  kernel.loseEvents();
  await clock.flush();
  node.publish(
    'service/test/early',
    vips.slice(1).flatMap((vip) => both(vip)),
  );
  node.publish('control-plane', []);
  assert.ok(!node.isPresent(ip(early)));
  node.publish('control-plane', [
    ...Array.from({ length: 300 }, (_, i) => addressOf(`10.10.${i >> 8}.${i & 255}`)),
    addressOf(early),
    ...Array.from({ length: 300 }, (_, i) => addressOf(`10.11.${i >> 8}.${i & 255}`)),
  ]);
  while (!node.isPresent(ip(early))) await clock.advance(0);
  assert.ok(kernel.showRoutes({ table: 255, protocol: 248 }).includes(early), 'it stands in');
  kernel.addresses = list;
  release();
  await clock.flush();
  await clock.advance(5000);
  assert.ok(marked().includes(` ${early}/32 `));
  assert.equal(await standing(kernel), 0);
  node.close();
});

test('what another process of this node lets stand in, and takes away, is not taken to be there for long', async () => {
  const { node: other, kernel, clock } = await crowded();
  const routes = await standing(kernel);
  assert.ok(routes > 0);
  const node = createNode({ kernel, clock, log: loggerTo(() => undefined) }, { crowd });
  await node.start();
  assert.ok(node.isPresent(ip(late)));
  other.withdraw('control-plane');
  other.close();
  assert.equal(await standing(kernel), 0);
  await clock.advance(60_000);
  assert.ok(!node.isPresent(ip(late)));
  assert.ok(!node.isBusy());
  node.close();
});

test('a stand-in that Linux does not take away at once is taken away later', async () => {
  const { node, kernel, clock, marked } = await crowded();
  kernel.failNext('remove route', errnoOf.ENOBUFS, 3);
  node.withdraw('control-plane');
  await clock.advance(5000);
  assert.deepEqual([marked(), await standing(kernel)], ['', 0]);
  node.close();
});
