import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnServer } from '../../../src/control-plane/index.ts';
import { ip, type Ip } from '../../../src/lib/ip.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const own4 = ip('10.0.0.1');
const own6 = ip('fd00::1');

function scene() {
  const clock = new FakeClock();
  const refusing = new Set<Ip>();
  const unwell = new Set<Ip>();
  const forgotten: Ip[] = [];
  let probes = 0;
  let changes = 0;
  const prober = {
    probe: (address: Ip) => {
      probes++;
      if (refusing.has(address)) return Promise.reject(Object.assign(new Error(), { code: 'ECONNREFUSED' }));
      if (unwell.has(address)) return Promise.reject(new Error('no answer'));
      return Promise.resolve(undefined);
    },
    forget: (address: Ip) => void forgotten.push(address),
  };
  const ownServer = new OwnServer(
    { prober, clock, random: () => 0 },
    { probeIntervalMs: 500, probeTimeoutMs: 1000, changed: () => changes++ },
  );
  const counts = () => ({ probes, changes });
  return { clock, refusing, unwell, forgotten, ownServer, counts };
}

test('a server of this node that nobody listens at any more is found at once, one that is back within 100 ms', async () => {
  const { clock, refusing, ownServer, counts } = scene();
  ownServer.setAddresses([own4, own6]);
  ownServer.follow(true);
  await clock.advance(600);
  assert.deepEqual([ownServer.refuses(4), counts().changes], [false, 0]);
  refusing.add(own4);
  ownServer.lost(own4);
  await clock.advance(0);
  assert.deepEqual([ownServer.refuses(4), ownServer.refuses(6), counts().changes], [true, false, 1]);
  await clock.advance(1000);
  refusing.clear();
  await clock.advance(100);
  assert.deepEqual([ownServer.refuses(4), counts().changes], [false, 2]);
});

test('one that is silent, or says that it is not ready, is left where it is', async () => {
  const { clock, unwell, ownServer, counts } = scene();
  ownServer.setAddresses([own4]);
  ownServer.follow(true);
  unwell.add(own4);
  await clock.advance(5000);
  assert.deepEqual([ownServer.refuses(4), counts().changes], [false, 0]);
});

test('the holder asks by other means; an address that goes is forgotten', async () => {
  const { clock, refusing, forgotten, ownServer, counts } = scene();
  refusing.add(own4);
  ownServer.setAddresses([own4]);
  await clock.advance(2000);
  assert.equal(counts().probes, 0);
  ownServer.follow(true);
  await clock.advance(0);
  assert.equal(ownServer.refuses(4), true);
  ownServer.setAddresses([]);
  assert.deepEqual([ownServer.refuses(4), counts().changes, forgotten], [false, 2, [own4]]);
  ownServer.setAddresses([own4]);
  ownServer.follow(false);
  const { probes } = counts();
  await clock.advance(5000);
  assert.equal(counts().probes, probes);
  assert.deepEqual(clock.timers(), []);
});
