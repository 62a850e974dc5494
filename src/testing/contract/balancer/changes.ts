import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionTo, howEnded, oneToEach, publish, shares, spread, withBalancer } from './clients.ts';
import {
  virtualServer,
  withState,
  type BalancerAbilities,
  type BalancerSubject,
  type OpenBalancer,
} from './subject.ts';

/** Servers come and go while clients are connected. */
export function changeContract({ name, balancesLocalClients }: BalancerAbilities, open: OpenBalancer): void {
  const check = (title: string, body: (subject: BalancerSubject) => Promise<void>): void => {
    test(`${title} (${name})`, () => withBalancer(open, body));
  };

  check('a draining server keeps its connections and gets no new ones', async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    await publish(subject, [spec]);
    const open = await oneToEach(subject, vip, 6443);
    await publish(subject, [withState(spec, 2, 'draining')]);
    assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 40)), [20, 0, 20]);
    for (const connection of open.values()) assert.equal(await connection.echo(), true, connection.server);
  });

  for (const family of [4, 6] as const) {
    check(
      `a dead server's clients are reset, also one that only waits; others notice nothing, IPv${family}`,
      async (subject) => {
        const vip = subject.vip(0, family);
        const spec = virtualServer(subject, vip);
        await publish(subject, [spec]);
        const open = await oneToEach(subject, vip, 6443);
        subject.unplug(2);
        try {
          await publish(subject, [withState(spec, 2, 'dead')]);
          assert.equal(await howEnded(connectionTo(open, 'server2')), 'ECONNRESET');
          assert.equal(await connectionTo(open, 'server1').echo(), true);
          assert.equal(await connectionTo(open, 'server3').echo(), true);
          assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 40)), [20, 0, 20]);
        } finally {
          subject.plugIn(2);
        }
      },
    );
  }

  if (balancesLocalClients)
    check('a client on the holder is reset as well', async (subject) => {
      const vip = subject.vip(0, 4);
      const spec = virtualServer(subject, vip);
      await publish(subject, [spec]);
      const connection = await subject.connect('holder', vip, 6443);
      const number = Number(connection.server.at(-1)) as 1 | 2 | 3;
      await publish(subject, [withState(spec, number, 'dead')]);
      assert.equal(await howEnded(connection), 'ECONNRESET');
    });

  check('a server that is no longer listed loses its connections', async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    await publish(subject, [spec]);
    const open = await oneToEach(subject, vip, 6443);
    await publish(subject, [{ ...spec, realServers: spec.realServers.slice(0, 2) }]);
    assert.equal(await howEnded(connectionTo(open, 'server3')), 'ECONNRESET');
    assert.equal(await connectionTo(open, 'server1').echo(), true);
  });

  check('a server that is added gets its share, and connections stay where they are', async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    await publish(subject, [{ ...spec, realServers: spec.realServers.slice(0, 2) }]);
    const held = await Promise.all([1, 2, 3, 4].map(() => subject.connect('client', vip, 6443)));
    await publish(subject, [spec]);
    assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
    for (const connection of held) assert.equal(await connection.echo(), true);
  });

  check('a server that comes back is used again', async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    await publish(subject, [spec]);
    await oneToEach(subject, vip, 6443);
    await publish(subject, [withState(spec, 1, 'dead')]);
    await publish(subject, [spec]);
    assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
  });
}
