import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Balancer, type BalancerOptions } from '../../../src/control-plane/balancer/balancer.ts';
import type { NodeObject } from '../../../src/kube/types.ts';
import { ip, type Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const vip = ip('10.0.0.100');
const options: BalancerOptions = {
  vips: [vip],
  rise: 1,
  fall: 2,
  drainMs: 2000,
  togetherMs: 10_000,
  slowStartMs: 0,
  probeIntervalMs: 500,
  probeTimeoutMs: 1000,
};

function node(n: number, ready = true): NodeObject {
  return {
    metadata: { name: `cp${n}`, labels: { 'node-role.kubernetes.io/control-plane': '' } },
    status: {
      addresses: [{ type: 'InternalIP', address: `10.0.0.${n}` }],
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

function scene() {
  const clock = new FakeClock();
  const dead = new Set<string>();
  const silent = new Set<string>();
  const refusing = new Set<string>();
  const keeping = new Set<string>();
  const probes: string[] = [];
  const applied: string[] = [];
  const failed: string[] = [];
  const balancer = new Balancer(
    {
      apply: (servers) => {
        applied.push(
          (servers.get(vip) ?? []).map(({ address, state }) => `${address.at(-1) ?? ''}:${state}`).join(' '),
        );
      },
      failed: (node) => failed.push(node),
      prober: {
        probe: (address: Ip, signal) => {
          probes.push(address);
          if (refusing.has(address))
            return Promise.reject(Object.assign(new Error(), { code: 'ECONNREFUSED' }));
          if (keeping.has(address)) return Promise.resolve({ keepsOnly: 'kube-vip was killed there' });
          if (dead.has(address)) return Promise.reject(new Error('refused'));
          if (!silent.has(address)) return Promise.resolve(undefined);
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(new Error('aborted'));
            });
          });
        },
        forget: () => undefined,
      },
      clock,
      random: () => 0,
      log: silentLogger,
    },
    options,
  );
  return {
    balancer,
    clock,
    dead,
    silent,
    refusing,
    keeping,
    probes,
    applied,
    failed,
    now: () => applied.at(-1),
  };
}

test('a take-over programs all ready nodes in the same turn, before any probe has answered', () => {
  const { balancer, now } = scene();
  balancer.nodesChanged([node(1), node(2), node(3, false)]);
  assert.equal(now(), undefined);
  balancer.activate();
  assert.equal(now(), '1:active 2:active');
});

test('what a predecessor has put into the kernel stays until the Nodes are known', () => {
  const { balancer, applied } = scene();
  balancer.activate();
  assert.deepEqual(applied, []);
  balancer.nodesChanged([node(1)]);
  assert.deepEqual(applied, ['1:active']);
});

test('CP-141 VIPs that change are balanced in the same turn while this node holds, and not before', () => {
  const { balancer, applied, now } = scene();
  balancer.nodesChanged([node(1), node(2)]);
  balancer.setVips([ip('10.0.0.101')]);
  assert.deepEqual(applied, []);
  balancer.activate();
  assert.equal(now(), '', 'there is another VIP');
  balancer.setVips([ip('10.0.0.101'), vip]);
  assert.equal(now(), '1:active 2:active');
});

test('a VIP without a node of its family is reported, until there is one', () => {
  const { balancer } = scene();
  balancer.activate();
  balancer.nodesChanged([]);
  const [found] = balancer.unserved();
  assert.equal(found?.vip, vip);
  assert.match(found.reason, /no control-plane node has an IPv4 InternalIP/);
  balancer.nodesChanged([node(1)]);
  assert.deepEqual(balancer.unserved(), []);
});

test('CP-161 a node that turns NotReady, is deleted or whose API server fails leaves; recovery brings it back', async () => {
  const { balancer, clock, dead, silent, now } = scene();
  balancer.nodesChanged([node(1), node(2), node(3)]);
  balancer.activate();
  await clock.advance(0);
  assert.equal(now(), '1:active 2:active 3:active');

  dead.add('10.0.0.3');
  await clock.advance(1100);
  assert.equal(now(), '1:active 2:active 3:dead');
  dead.clear();
  await clock.advance(600);
  assert.equal(now(), '1:active 2:active 3:active');

  silent.add('10.0.0.2');
  await clock.advance(3000);
  assert.equal(now(), '1:active 2:dead 3:active');
  silent.clear();
  await clock.advance(1500);

  balancer.nodesChanged([node(1), node(2), node(3, false)]);
  assert.equal(now(), '1:active 2:active 3:draining');
  balancer.nodesChanged([node(1), node(2)]);
  await clock.advance(2500);
  assert.equal(now(), '1:active 2:active');
  balancer.nodesChanged([node(1), node(2), node(3)]);
  await clock.advance(0);
  assert.equal(now(), '1:active 2:active 3:active');
});

test('a server that must get no new connections and keeps its own leaves with one probe, and drains', async () => {
  const { balancer, clock, keeping, now } = scene();
  balancer.nodesChanged([node(1), node(2)]);
  balancer.activate();
  await clock.advance(0);
  keeping.add('10.0.0.2');
  balancer.lost(ip('10.0.0.2'));
  await clock.advance(0);
  assert.equal(now(), '1:active 2:draining');
  await clock.advance(options.drainMs - 500);
  assert.equal(now(), '1:active 2:draining');
  await clock.advance(1000);
  assert.equal(now(), '1:active 2:dead');
  keeping.clear();
  await clock.advance(600);
  assert.equal(now(), '1:active 2:active');
});

test('all Nodes that turn NotReady together go on serving', async () => {
  const { balancer, clock, applied, now } = scene();
  balancer.nodesChanged([node(1), node(2)]);
  balancer.activate();
  await clock.advance(600);
  balancer.nodesChanged([node(1, false), node(2)]);
  assert.equal(now(), '1:draining 2:active');
  balancer.nodesChanged([node(1, false), node(2, false)]);
  await clock.advance(10_000);
  assert.equal(now(), '1:active 2:active');
  assert.ok(!applied.includes(''), 'never without a server');
});

test('a backend that has not answered since the take-over has failed as well', async () => {
  const { balancer, clock, silent, failed, now } = scene();
  silent.add('10.0.0.1');
  balancer.nodesChanged([node(1), node(2)]);
  balancer.activate();
  await clock.advance(0);
  assert.deepEqual([now(), failed], ['1:draining 2:active', []]);
  await clock.advance(3000);
  assert.deepEqual([now(), failed], ['1:dead 2:active', ['cp1']]);
});

test('a backend that ends the connection of its probe is asked at once, and one refusal takes it out', async () => {
  const { balancer, clock, refusing, now } = scene();
  balancer.nodesChanged([node(1), node(2)]);
  balancer.activate();
  await clock.advance(100);
  refusing.add('10.0.0.2');
  balancer.lost(ip('10.0.0.2'));
  await clock.advance(0);
  assert.equal(now(), '1:active 2:dead');
});

test('a backend that ends every connection after its answer is asked twice in an interval and no more', async () => {
  const { balancer, clock, probes } = scene();
  balancer.nodesChanged([node(1)]);
  balancer.activate();
  for (let ms = 0; ms < 5000; ms += 10) {
    balancer.lost(ip('10.0.0.1'));
    await clock.advance(10);
  }
  assert.ok(probes.length <= 22, `${probes.length} probes in ten intervals`);
});

test('when all probes fail the last good set stays, and nothing is programmed twice', async () => {
  const { balancer, clock, dead, now, applied } = scene();
  balancer.nodesChanged([node(1), node(2)]);
  balancer.activate();
  await clock.advance(600);
  for (const n of [1, 2]) dead.add(`10.0.0.${n}`);
  await clock.advance(5000);
  assert.equal(now(), '1:active 2:active');
  const times = applied.length;
  await clock.advance(10_000);
  assert.equal(applied.length, times);
});

test('CP-167 losing the VIP takes everything out of the kernel at once and stops all probes', async () => {
  const { balancer, clock, now } = scene();
  balancer.nodesChanged([node(1), node(2)]);
  balancer.activate();
  await clock.advance(600);
  balancer.deactivate();
  assert.equal(now(), '');
  await clock.advance(0);
  assert.deepEqual(clock.timers(), []);
});
