import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, type Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { createForwarding, findFacts, type Forwarding } from '../../../src/node/forwarding/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { FakeNftables } from '../../../src/testing/fake-nftables.ts';
import { FakeIpvs } from './fake-ipvs.ts';
import { server, spec } from './scene.ts';

const vip = ip('10.0.0.100');
const claims = [{ vip, port: 6443 }];

function scene(backend: 'ipvs' | 'nftables' = 'ipvs', ipvs = new FakeIpvs()) {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  const told: Ip[] = [];
  const nothing = { resolve: () => undefined, close: () => undefined };
  const forwarding: Forwarding = createForwarding(
    {
      kernel,
      ipvs,
      nftables: new FakeNftables(),
      conntrack: undefined,
      resolver: nothing,
      rawIp: { send: (destination) => void told.push(destination), close: () => undefined },
      clock,
      log: silentLogger,
    },
    { choice: { backend, reason: 'the test says so' }, claims },
  );
  return { clock, ipvs, forwarding, told };
}

function client(address: string, to: string) {
  return {
    client: { address: ip(address), port: 40_000 },
    service: { address: vip, port: 6443 },
    server: { address: ip(to), port: 6443 },
    state: 'established',
  } as const;
}

test('clients of a removed server are told, though the kernel has forgotten them by then', async () => {
  const { clock, ipvs, forwarding, told } = scene();
  await forwarding.start();
  forwarding.set([spec(vip)]);
  ipvs.clients = [client('10.0.0.50', '10.0.0.1'), client('10.0.0.51', '10.0.0.2')];
  forwarding.set([spec(vip, { realServers: [server('10.0.0.2'), server('10.0.0.1', { state: 'dead' })] })]);
  assert.equal(ipvs.clients.length, 1);
  await clock.advance(100);
  assert.deepEqual(told, ['10.0.0.50']);
  assert.equal(forwarding.status().counters.connectionsCut, 1);
  forwarding.set([]);
  assert.equal(ipvs.clients.length, 0, 'with their service');
  await clock.advance(2000);
  assert.deepEqual(told.slice(1).sort(), ['10.0.0.50', '10.0.0.51', '10.0.0.51'], 'the VIP has left');
  await forwarding.close();
});

test('a service that somebody else removes is back after the next look, 200 ms', async () => {
  const { clock, ipvs, forwarding } = scene();
  await forwarding.start();
  forwarding.set([spec(vip)]);
  const good = ipvs.show();
  await clock.advance(1000);
  ipvs.held.clear();
  await clock.advance(250);
  assert.deepEqual(ipvs.show(), good);
  assert.equal(forwarding.status().counters.repairs, 1);
  await forwarding.close();
  assert.deepEqual(ipvs.show(), []);
});

test('what a predecessor made in IPVS goes when its successor balances with nftables', async () => {
  for (const method of ['masquerade', 'directroute'] as const) {
    const first = scene();
    await first.forwarding.start();
    first.forwarding.set([spec(vip, { method })]);
    first.forwarding.abandon();
    first.ipvs.addService({ key: { address: ip('10.96.0.1'), port: 443 }, scheduler: 'rr' });
    const second = scene('nftables', first.ipvs);
    await second.forwarding.start();
    assert.deepEqual(second.ipvs.show(), ['10.96.0.1 443 rr → ']);
    second.forwarding.abandon();
  }
});

test('facts: a scheduler that cannot be had, services of others, and no trace of asking', async () => {
  const ipvs = new FakeIpvs();
  ipvs.missingSchedulers.add('mh');
  const facts = (scheduler: 'rr' | 'mh') =>
    findFacts({ ipvs, nftables: new FakeNftables() }, claims, ['masquerade'], scheduler);
  assert.match((await facts('mh')).ipvsMissing ?? '', /IPVS has no scheduler mh/);
  assert.equal((await facts('rr')).ipvsMissing, undefined);
  assert.deepEqual(ipvs.show(), []);
  const { forwarding } = scene('ipvs', ipvs);
  await forwarding.start();
  forwarding.set([spec(vip)]);
  assert.equal((await facts('rr')).foreignServices, 0);
  ipvs.addService({ key: { address: ip('10.96.0.1'), port: 443 }, scheduler: 'rr' });
  assert.equal((await facts('rr')).foreignServices, 1);
  await forwarding.close();
});

test('without the modules the reason names them', async () => {
  const facts = await findFacts({ ipvs: undefined, nftables: undefined }, claims, ['local'], 'wrr');
  assert.match(facts.ipvsMissing ?? '', /ensure IPVS kernel modules are loaded \(ip_vs and ip_vs_wrr\)/);
});
