import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/lib/log.ts';
import type { ConnectionEnd, Conntrack, TrackedConnection } from '../../../src/linux/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import { newCounters } from '../../../src/node/forwarding/counters.ts';
import { Cutter } from '../../../src/node/forwarding/cutter.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { server, spec } from './scene.ts';

const end = (address: string, port: number): ConnectionEnd => ({ address: ip(address), port });

function through(vip: string, serverAddress: string): TrackedConnection {
  const client = end('10.0.0.50', 40_000);
  return {
    client,
    service: end(vip, 6443),
    server: end(serverAddress, 6443),
    returnTo: end(vip, 6443),
    state: 'established',
    id: Number(serverAddress.at(-1)),
  };
}

function scene(tracked: readonly TrackedConnection[]) {
  const clock = new FakeClock();
  const counters = newCounters();
  const looks: (readonly string[])[] = [];
  const removed: string[] = [];
  const ids: (number | undefined)[] = [];
  const conntrack: Conntrack = {
    connections: (services) => {
      looks.push(services.map(({ address }) => address));
      return Promise.resolve(tracked);
    },
    remove: (connections) => {
      ids.push(...connections.map(({ id }) => id));
      removed.push(...connections.map(({ service }) => service.address));
      return connections.length;
    },
    close: () => undefined,
  };
  const told: { readonly to: string; readonly at: number }[] = [];
  const rawIp = {
    send: (to: string) => void told.push({ to, at: clock.now() }),
    close: () => undefined,
  };
  const shared = { clock, counters, log: silentLogger, observer: {} };
  return { clock, counters, looks, removed, ids, told, cutter: new Cutter({ conntrack, rawIp, shared }, []) };
}

const vips = ['10.0.0.100', '10.0.0.101', '10.0.0.102'] as const;

test('a server leaves many VIPs: connection tracking is gone through once for all of them, and once more', async () => {
  const gone = [through(vips[0], '10.0.0.3'), through(vips[2], '10.0.0.3')];
  const { clock, counters, looks, removed, cutter } = scene([...gone, through(vips[1], '10.0.0.1')]);
  cutter.apply(vips.map((vip) => spec(vip, { realServers: [server('10.0.0.1')] })));
  await clock.advance(5000);
  assert.deepEqual(looks, [vips, vips]);
  assert.equal(counters.clientsReset, 4);
  assert.ok(!removed.slice(0, 2).includes(vips[1]));
  looks.length = 0;
  cutter.apply(vips.map((vip) => spec(vip, { realServers: [server('10.0.0.1', { state: 'dead' })] })));
  await clock.advance(5000);
  assert.deepEqual(looks, [vips, vips]);
  cutter.close();
});

test('a VIP whose servers change again is looked at a second after its last change', async () => {
  const { clock, looks, cutter } = scene([]);
  const [first, second] = vips;
  const servers = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => server(address));
  cutter.apply([spec(first, { realServers: servers }), spec(second, { realServers: servers })]);
  await clock.advance(600);
  cutter.apply([spec(first, { realServers: servers.slice(1) }), spec(second, { realServers: servers })]);
  await clock.advance(399);
  assert.deepEqual(looks, [[first, second], [first]]);
  await clock.advance(2);
  assert.deepEqual(looks.slice(2), [[second]]);
  await clock.advance(598);
  assert.equal(looks.length, 3);
  await clock.advance(2);
  assert.deepEqual(looks.slice(3), [[first]]);
  cutter.close();
});

test('the connection that was seen is removed, not what its client has opened from the same port meanwhile', async () => {
  const { clock, ids, cutter } = scene([through(vips[0], '10.0.0.3')]);
  cutter.apply([spec(vips[0], { realServers: [server('10.0.0.1')] })]);
  await clock.advance(0);
  assert.equal(ids[0], 3);
  cutter.close();
});

test('a VIP that leaves: its clients are told twice, when the next holder is there, and none of its connections is cut', async () => {
  const { clock, counters, removed, told, cutter } = scene([through(vips[0], '10.0.0.1')]);
  cutter.apply([spec(vips[0], { realServers: [server('10.0.0.1')] })]);
  await clock.advance(5000);
  const left = clock.now();
  cutter.apply([]);
  let isOver = false;
  void cutter.told().then(() => (isOver = true));
  await clock.advance(299);
  assert.deepEqual(told, []);
  await clock.advance(1);
  assert.deepEqual(told, [{ to: '10.0.0.50', at: left + 300 }]);
  assert.equal(isOver, false);
  await clock.advance(700);
  assert.deepEqual(told.slice(1), [{ to: '10.0.0.50', at: left + 1000 }]);
  assert.equal(isOver, true);
  assert.deepEqual([counters.connectionsCut, counters.clientsReset], [0, 1]);
  assert.ok(
    removed.every((address) => address === '10.0.0.50'),
    'only the traces of what was sent',
  );
  cutter.close();
});

test('a VIP that is back before the next holder came keeps its clients', async () => {
  const { clock, told, cutter } = scene([through(vips[0], '10.0.0.1')]);
  const here = [spec(vips[0], { realServers: [server('10.0.0.1')] })];
  cutter.apply(here);
  await clock.advance(5000);
  cutter.apply([]);
  await clock.advance(200);
  cutter.apply(here);
  await clock.advance(5000);
  assert.deepEqual(told, []);
  cutter.close();
});
