import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { connectionTo, howEnded, oneToEach, publish, shares, spread, withBalancer } from './clients.ts';
import { virtualServer, type BalancerAbilities, type BalancerSubject, type OpenBalancer } from './subject.ts';

/** What others do to us, what a crash leaves, and what we leave. */
export function recoveryContract({ name }: BalancerAbilities, open: OpenBalancer): void {
  const check = (title: string, body: (subject: BalancerSubject) => Promise<void>): void => {
    test(`${title} (${name})`, () => withBalancer(open, body));
  };

  check('what somebody else removes is put back', async (subject) => {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    await spread(subject, 'client', vip, 6443, 3);
    subject.removeBehindOurBack();
    await subject.until('it is repaired', () => subject.forwarding.status().counters.repairs > 0);
    await subject.until('it balances again', async () =>
      isDeepStrictEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]),
    );
  });

  check('after a crash the successor takes over what is there, and connections go on', async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    await publish(subject, [spec]);
    const open = await oneToEach(subject, vip, 6443);
    await subject.restart();
    await publish(subject, [spec]);
    for (const connection of open.values()) assert.equal(await connection.echo(), true, connection.server);
    assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
  });

  check('after a crash, connections to a server that died meanwhile are cut', async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    await publish(subject, [spec]);
    const open = await oneToEach(subject, vip, 6443);
    await subject.restart();
    await publish(subject, [{ ...spec, realServers: spec.realServers.slice(0, 2) }]);
    assert.equal(await howEnded(connectionTo(open, 'server3')), 'ECONNRESET');
    assert.equal(await connectionTo(open, 'server1').echo(), true);
  });

  check(
    'CP-166 what a crashed predecessor left is replaced, or removed when it is not wanted',
    async (subject) => {
      const vip = subject.vip(0, 4);
      const spec = virtualServer(subject, vip, { scheduler: 'sh' });
      await publish(subject, [{ ...spec, realServers: spec.realServers.slice(0, 1) }]);
      await subject.restart();
      await publish(subject, [virtualServer(subject, vip)]);
      assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
      await subject.restart();
      await publish(subject, []);
      await subject.until('it is swept', () => subject.traces().length === 0);
    },
  );

  check('CP-167 nothing is left in the kernel after the end', async (subject) => {
    const vips = [subject.vip(0, 4), subject.vip(0, 6)];
    await publish(
      subject,
      vips.map((vip) => virtualServer(subject, vip)),
    );
    assert.notEqual(subject.traces().length, 0);
    subject.forwarding.set([]);
    // Who is connected is read before it is forgotten: the next holder does not know.
    await subject.until('nothing is left', () => subject.traces().length === 0);
    await publish(
      subject,
      vips.map((vip) => virtualServer(subject, vip)),
    );
    await subject.forwarding.close();
    assert.deepEqual(subject.traces(), []);
  });

  check(
    'a server of the other address family is refused with a clear message, and nothing is left',
    async (subject) => {
      const spec = virtualServer(subject, subject.vip(0, 6));
      const realServers = spec.realServers.map((server) => ({ ...server, address: subject.address(1, 4) }));
      subject.forwarding.set([{ ...spec, realServers }]);
      const [found] = subject.forwarding.status().specs;
      assert.equal(found?.state.state, 'failed');
      assert.match(found.state.reason, /only IPv6 servers can serve it/);
      assert.deepEqual(subject.traces(), []);
    },
  );
}
