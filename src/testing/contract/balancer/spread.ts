import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Ip } from '../../../lib/ip.ts';
import type { RealServer } from '../../../node/forwarding/index.ts';
import { publish, refusedWith, shares, spread, withBalancer } from './clients.ts';
import { virtualServer, type BalancerAbilities, type BalancerSubject, type OpenBalancer } from './subject.ts';

/**
 * Shares of so many connections, of the first of three tries that is right, else of the last: on a busy machine a client sends a
 * SYN again, and that takes a turn.
 */
async function best(
  subject: BalancerSubject,
  vip: Ip,
  count: number,
  isRight: (shared: readonly number[]) => boolean,
): Promise<readonly number[]> {
  let shared: readonly number[] = [];
  for (let tries = 0; tries < 3 && (tries === 0 || !isRight(shared)); tries++)
    shared = shares(await spread(subject, 'client', vip, 6443, count));
  return shared;
}

/** Who gets how many connections. */
export function spreadContract(abilities: BalancerAbilities, open: OpenBalancer): void {
  const { name } = abilities;
  const check = (title: string, body: (subject: BalancerSubject) => Promise<void>): void => {
    test(`${title} (${name})`, () => withBalancer(open, body));
  };

  for (const family of [4, 6] as const) {
    check(
      `round robin is exact: 1000 connections over 3 servers differ by at most 1, IPv${family}`,
      async (subject) => {
        const vip = subject.vip(0, family);
        await publish(subject, [virtualServer(subject, vip)]);
        const differ = (counts: readonly number[]): number => Math.max(...counts) - Math.min(...counts);
        const counts = await best(subject, vip, 1000, (shared) => differ(shared) <= 1);
        assert.equal(
          counts.reduce((a, b) => a + b),
          1000,
        );
        assert.ok(differ(counts) <= 1, counts.join(' '));
      },
    );

    check(`weights 3, 2, 1 give 300, 200, 100 of 600 connections, IPv${family}`, async (subject) => {
      const vip = subject.vip(0, family);
      const scheduler = abilities.weightsOfRoundRobin ? 'rr' : 'wrr';
      const spec = virtualServer(subject, vip, { scheduler });
      const realServers = spec.realServers.map((server, i): RealServer => ({ ...server, weight: 3 - i }));
      await publish(subject, [{ ...spec, realServers }]);
      const expected = [300, 200, 100];
      assert.deepEqual(
        await best(subject, vip, 600, (shared) => isDeepStrictEqual(shared, expected)),
        expected,
      );
    });

    if (abilities.balancesLocalClients) {
      check(`a client on the holder itself is balanced, IPv${family}`, async (subject) => {
        const vip = subject.vip(0, family);
        await publish(subject, [virtualServer(subject, vip)]);
        assert.deepEqual(shares(await spread(subject, 'holder', vip, 6443, 30)), [10, 10, 10]);
      });
    }

    if (abilities.balancesServersClients) {
      check(
        `a client on a server's node reaches every server, its own too, IPv${family}`,
        async (subject) => {
          const vip = subject.vip(0, family);
          await publish(subject, [virtualServer(subject, vip)]);
          assert.deepEqual(shares(await spread(subject, 'server1', vip, 6443, 30)), [10, 10, 10]);
        },
      );
    }

    if (abilities.translatesPorts) {
      check(`VIP port 443 leads to port 6443 of the servers, IPv${family}`, async (subject) => {
        const vip = subject.vip(0, family);
        await publish(subject, [virtualServer(subject, vip, { port: 443 })]);
        assert.deepEqual(shares(await spread(subject, 'client', vip, 443, 30)), [10, 10, 10]);
      });
    }
  }

  check('CP-169 several VIPs of both families balance beside each other', async (subject) => {
    const vips = [subject.vip(0, 4), subject.vip(1, 4), subject.vip(0, 6), subject.vip(1, 6)];
    await publish(
      subject,
      vips.map((vip) => virtualServer(subject, vip)),
    );
    for (const vip of vips)
      assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
  });

  check('two ports of one VIP are two virtual servers', async (subject) => {
    const vip = subject.vip(0, 4);
    const second = virtualServer(subject, vip, { port: 443 });
    const realServers = second.realServers.slice(0, 2).map((server) => ({ ...server, port: 443 }));
    await publish(subject, [virtualServer(subject, vip), { ...second, realServers }]);
    assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
    assert.deepEqual(shares(await spread(subject, 'client', vip, 443, 30)), [15, 15, 0]);
  });

  for (const scheduler of ['sh', 'mh'] as const) {
    check(`${scheduler} keeps a client with one server`, async (subject) => {
      const vip = subject.vip(0, 4);
      await publish(subject, [virtualServer(subject, vip, { scheduler })]);
      const counts = shares(await spread(subject, 'client', vip, 6443, 20));
      assert.deepEqual(
        [...counts].sort((a, b) => b - a),
        [20, 0, 0],
      );
    });
  }

  if (abilities.countsConnections === true) {
    check('lc gives a server that is added all connections until it has as many', async (subject) => {
      const spec = virtualServer(subject, subject.vip(0, 4), { scheduler: 'lc' });
      await publish(subject, [{ ...spec, realServers: spec.realServers.slice(0, 2) }]);
      assert.deepEqual(await held(subject, spec.vip, 6), [3, 3, 0]);
      await publish(subject, [spec]);
      assert.deepEqual(await held(subject, spec.vip, 3), [0, 0, 3]);
    });

    check('wlc fills the servers by their weights', async (subject) => {
      const spec = virtualServer(subject, subject.vip(0, 4), { scheduler: 'wlc' });
      const realServers = spec.realServers.map((server, i): RealServer => ({ ...server, weight: 3 - i }));
      await publish(subject, [{ ...spec, realServers }]);
      assert.deepEqual(await held(subject, spec.vip, 12), [6, 4, 2]);
    });
  }

  check('a virtual server without servers refuses at once', async (subject) => {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip, { realServers: [] })]);
    assert.equal(await refusedWith(subject, vip, 6443), 'ECONNREFUSED');
  });
}

/** Opens this many connections, one after the other, which stay; how many each server got. */
async function held(subject: BalancerSubject, vip: Ip, count: number): Promise<readonly number[]> {
  const counts = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    const { server } = await subject.connect('client', vip, 6443);
    counts.set(server, (counts.get(server) ?? 0) + 1);
  }
  return shares(counts);
}
