import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { ForwardingMethod } from '../../../src/node/forwarding/index.ts';
import {
  publish,
  refusedWith,
  shares,
  spread,
  withBalancer,
} from '../../../src/testing/contract/balancer/clients.ts';
import { virtualServer, type BalancerSubject } from '../../../src/testing/contract/balancer/subject.ts';
import { openSubject } from '../../lab/balancer/host-subject.ts';
import { run, runHere, setSysctl, World } from '../../lab/balancer/world.ts';
import { hasTables, isInside, runInside } from '../in-kernel.ts';

/** What is special about each forwarding method, and what the kernel itself says that it is. */

/** The methods of all destinations, by the kernel's own listing: not by the interface that made them. */
function methodsInKernel(): readonly string[] {
  const lines = readFileSync('/proc/net/ip_vs', 'utf8').split('\n').slice(3);
  return lines.flatMap((line) => /^ +-> \S+ +(\w+)/.exec(line)?.[1] ?? []);
}

const names: Readonly<Record<ForwardingMethod, string>> = {
  masquerade: 'Masq',
  local: 'Local',
  tunnel: 'Tunnel',
  directroute: 'Route',
  // ip_vs_fwd_name() has no word for it. That it is another one than masquerade shows below.
  bypass: 'Masq',
};

function withMethod(
  world: World,
  method: ForwardingMethod,
  body: (subject: BalancerSubject) => Promise<void>,
): Promise<void> {
  const choice = { backend: 'ipvs', reason: 'the test says so' } as const;
  return withBalancer(() => openSubject(world, choice, method), body);
}

if (isInside) {
  describe('methods', () => {
    let world: World;
    before(() => {
      if (!hasTables) runHere('modprobe ipip');
      world = new World({ directReturn: true, vips: 2 });
      for (const server of [1, 2, 3] as const) {
        // With the module comes one device in each namespace, which takes every IPIP packet.
        run(`server${server}`, 'ip link set tunl0 up');
        setSysctl(`server${server}`, 'net.ipv4.conf.tunl0.rp_filter', '0');
      }
    });
    after(() => world.close());

    for (const method of Object.keys(names) as ForwardingMethod[]) {
      test(`CP-162 the kernel forwards by ${method}`, () =>
        withMethod(world, method, async (subject) => {
          for (const family of [4, 6] as const) {
            await publish(subject, [virtualServer(subject, subject.vip(0, family))]);
            assert.deepEqual(methodsInKernel(), Array(3).fill(names[method]), `IPv${family}`);
          }
        }));
    }

    test('tunnel reaches all servers', () =>
      withMethod(world, 'tunnel', async (subject) => {
        const vip = subject.vip(0, 4);
        await publish(subject, [virtualServer(subject, vip)]);
        assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
      }));

    test('local hands every connection to this node', () =>
      withMethod(world, 'local', async (subject) => {
        for (const family of [4, 6] as const) {
          const vip = subject.vip(0, family);
          await publish(subject, [virtualServer(subject, vip)]);
          assert.deepEqual([...(await spread(subject, 'client', vip, 6443, 9))], [['holder', 9]]);
        }
      }));

    test('bypass reaches no server', () =>
      withMethod(world, 'bypass', async (subject) => {
        const vip = subject.vip(0, 4);
        await publish(subject, [virtualServer(subject, vip)]);
        assert.equal(await refusedWith(subject, vip, 6443), 'ETIMEDOUT');
      }));
  });
} else runInside(import.meta.url, { 'IPVS, each method': {} });
