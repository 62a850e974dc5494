import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import type { FakeClock } from '../../../src/testing/fake-clock.ts';
import type { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { both, scene } from './scene.ts';

const vips = Array.from({ length: 1000 }, (_, i) => `10.9.${i >> 8}.${i & 255}`);
const specs = vips.flatMap((vip) => both(vip));
const others = vips.flatMap((vip) => both(vip.replace('10.9.', '10.19.')));

/** How many addresses are written in each turn: a new one begins with each timer. */
function countTurns(kernel: FakeKernel, clock: FakeClock): { turns: number[] } {
  const count = { turns: [0] };
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    count.turns.push((count.turns.pop() ?? 0) + requests.length);
    return set(requests);
  };
  const after = clock.after.bind(clock);
  clock.after = (name, ms, callback) =>
    after(name, ms, () => {
      count.turns.push(0);
      callback();
    });
  return count;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

// Time stands still in these tests, so that only the numbers bound a turn.

test('many specs reach the kernel in turns: some on return, the others piece by piece', async () => {
  const { node, kernel, clock } = await scene();
  const count = countTurns(kernel, clock);
  node.publish('control-plane', specs);
  // A piece is 256 specs: an address and an announcement for each VIP.
  assert.deepEqual(count.turns, [128]);
  await clock.advance(0);
  assert.equal(sum(count.turns), vips.length);
  assert.ok(Math.max(...count.turns) <= 256, count.turns.join());
  assert.ok(node.isPresent(ip(vips.at(-1) ?? '')));
  node.close();
});

test('a link that appears gets its many VIPs in turns', async () => {
  const { node, kernel, clock } = await scene();
  node.publish(
    'control-plane',
    specs.map((spec) => ({ ...spec, link: 'eth1' })),
  );
  await clock.advance(0);
  const count = countTurns(kernel, clock);
  kernel.addLink({ name: 'eth1' });
  await clock.flush();
  assert.equal(sum(count.turns), 256);
  await clock.advance(0);
  assert.equal(sum(count.turns), vips.length);
  assert.ok(Math.max(...count.turns) <= 256, count.turns.join());
  node.close();
});

test('nothing that nobody wants any more waits for its turn', async () => {
  const { node, kernel, clock } = await scene();
  node.publish('control-plane', specs);
  await clock.advance(0);
  node.withdraw('control-plane');
  assert.equal(kernel.showAddresses({ protocol: 248 }), '');
  node.close();
});

test('a slow kernel gets fewer addresses at once, so that the turns still end', async () => {
  const { node, kernel, clock } = await scene();
  const pieces: number[] = [];
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    pieces.push(requests.length);
    clock.pause(requests.length * 0.5);
    return set(requests);
  };
  node.publish('control-plane', specs);
  await clock.advance(1000);
  assert.equal(sum(pieces), vips.length);
  // 8 ms of 0.5 ms each, after the first piece has shown that.
  assert.ok(Math.max(...pieces.slice(1)) <= 16, pieces.join());
  assert.ok(pieces.length < vips.length / 10, `${pieces.length} calls`);
  node.close();
});

test('what is published while others wait takes its place behind them, in no turn of its own', async () => {
  const { node, kernel, clock } = await scene();
  const written: string[] = [];
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    written.push(...requests.map(({ address }) => address));
    clock.pause(requests.length * 0.5);
    return set(requests);
  };
  node.publish('control-plane', specs.slice(0, 200));
  const inFirst = written.length;
  assert.ok(inFirst > 0 && inFirst < 100, `${inFirst} at once`);
  for (let i = 100; i < 110; i++) node.publish(`service/test/s${i}`, specs.slice(2 * i, 2 * i + 2));
  assert.equal(written.length, inFirst);
  await clock.advance(1000);
  assert.deepEqual(written, vips.slice(0, 110));
  node.close();
});

test('a new VIP does not wait behind a thousand that are only checked, nor does what waits for VIPs', async () => {
  const { node, clock } = await scene();
  node.publish('control-plane', specs);
  await clock.advance(1000);
  const after = clock.after.bind(clock);
  const turns: string[] = [];
  clock.after = (name, ms, callback) =>
    after(name, ms, () => {
      callback();
      if (name !== 'address-backlog') return;
      if (turns.length === 0) node.publish('service/test/new', both('10.19.0.1'));
      turns.push(
        `${node.isPresent(ip('10.19.0.1')) ? 'there' : 'waits'}, ${node.isBusy() ? 'busy' : 'not busy'}`,
      );
    });
  await clock.advance(30_000);
  assert.deepEqual(turns, new Array(4).fill('there, not busy'));
  node.close();
});

test('a fast kernel gets as many addresses at once as a turn has', async () => {
  const { node, kernel, clock } = await scene();
  let calls = 0;
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    calls++;
    return set(requests);
  };
  node.publish('control-plane', specs);
  await clock.advance(0);
  assert.ok(node.isPresent(ip(vips.at(-1) ?? '')));
  assert.ok(calls <= 12, `${calls} calls for ${vips.length} addresses`);
  node.close();
});

test('the node is busy as long as something waits for its turn', async () => {
  const { node, clock } = await scene();
  assert.equal(node.isBusy(), false);
  node.publish('control-plane', specs);
  assert.equal(node.isBusy(), true);
  await clock.advance(0);
  assert.equal(node.isBusy(), false);
  node.close();
});

test('nothing is listed anew while it is changing under way', async () => {
  const { node, kernel, clock } = await scene(undefined, { refreshMs: 100 });
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    clock.pause(requests.length * 0.5);
    return set(requests);
  };
  node.publish('control-plane', specs);
  while (node.isBusy()) {
    assert.equal(node.counters().dumps, 1);
    await clock.advance(10);
  }
  assert.ok(clock.now() > 400, `${clock.now()} ms`);
  await clock.advance(200);
  assert.ok(node.counters().dumps > 1);
  node.close();
});

test('the watch for second claimants is told of many new VIPs together, every second at least', async () => {
  const { node, kernel, clock } = await scene();
  const set = kernel.setAddresses.bind(kernel);
  let eachMs = 0.5;
  kernel.setAddresses = (requests) => {
    clock.pause(requests.length * eachMs);
    return set(requests);
  };
  let filters = 0;
  const open = kernel.openPacketSocket.bind(kernel);
  kernel.openPacketSocket = (options) => {
    const socket = open(options);
    if (options.filter !== undefined) filters++;
    const setFilter = socket.setFilter.bind(socket);
    socket.setFilter = (filter) => {
      filters++;
      setFilter(filter);
    };
    return socket;
  };
  node.publish('control-plane', specs);
  while (node.isBusy()) await clock.advance(10);
  await clock.advance(100);
  // One for those that came first, before they were on the link.
  assert.deepEqual([filters], [2]);
  eachMs = 5;
  node.withdraw('control-plane');
  node.publish('control-plane', others);
  const start = clock.now();
  while (clock.now() < start + 1100) await clock.advance(10);
  // One for the first few, and one after a second.
  assert.deepEqual([node.isBusy(), filters], [true, 4]);
  while (node.isBusy()) await clock.advance(10);
  await clock.advance(100);
  assert.equal(filters, 4, 'there is nothing new to listen for');
  node.close();
});
