import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../../../lib/ip.ts';
import { connectionTo, howEnded, oneToEach, publish, refusedWith, withBalancer } from './clients.ts';
import {
  virtualServer,
  withState,
  type BalancerAbilities,
  type BalancerSubject,
  type OpenBalancer,
  type Place,
} from './subject.ts';

/** What a client hears of a server whose process has died, before and after it is taken out. */
export function refusalContract({ name, balancesLocalClients }: BalancerAbilities, open: OpenBalancer): void {
  const check = (title: string, body: (subject: BalancerSubject) => Promise<void>): void => {
    test(`${title} (${name})`, () => withBalancer(open, body));
  };
  const clients = ['client', ...(balancesLocalClients ? (['holder'] as const) : [])] as const;

  for (const family of [4, 6] as const) {
    for (const from of clients)
      check(`while others serve, a server that died refuses nobody, ${from}, IPv${family}`, (subject) =>
        withoutServer(subject, 2, async () => {
          const vip = subject.vip(0, family);
          const spec = virtualServer(subject, vip);
          await publish(subject, [spec]);
          const { served, failed } = knock(subject, from, vip, 12);
          // Two thirds meet another server at once.
          await subject.until('the others have served theirs', () => served.length >= 8);
          subject.forwarding.set([withState(spec, 2, 'dead')]);
          assert.deepEqual(await failed, []);
          assert.equal(served.length, 12);
          assert.equal(served.includes('server2'), false);
        }),
      );

    check(`of two that serve, one that died refuses nobody when it is out, IPv${family}`, (subject) =>
      withoutServer(subject, 2, async () => {
        const vip = subject.vip(0, family);
        const spec = virtualServer(subject, vip);
        const two = { ...spec, realServers: spec.realServers.slice(0, 2) };
        await publish(subject, [two]);
        const { served, failed } = knock(subject, 'client', vip, 6);
        await subject.until('the other has served its', () => served.length >= 3);
        subject.forwarding.set([withState(two, 2, 'dead')]);
        assert.deepEqual(await failed, []);
        assert.deepEqual(served, Array(6).fill('server1'));
      }),
    );

    check(`nobody else is known to serve: a client is refused at once, IPv${family}`, (subject) =>
      withoutServer(subject, 2, async () => {
        const vip = subject.vip(0, family);
        const spec = virtualServer(subject, vip);
        const realServers = spec.realServers.map((server) => ({ ...server, isProven: false }));
        await publish(subject, [{ ...spec, realServers }]);
        const heard = await Promise.all([1, 2, 3].map(() => refusedWith(subject, vip, 6443)));
        assert.deepEqual(heard.sort(), ['ECONNREFUSED', 'connected to server1', 'connected to server3']);
      }),
    );

    check(`its connections are reset by its own kernel, IPv${family}`, async (subject) => {
      const vip = subject.vip(0, family);
      await publish(subject, [virtualServer(subject, vip)]);
      const open = await oneToEach(subject, vip, 6443);
      await withoutServer(subject, 2, async () => {
        assert.equal(await howEnded(connectionTo(open, 'server2')), 'ECONNRESET');
        assert.equal(await connectionTo(open, 'server1').echo(), true);
      });
    });
  }
}

async function withoutServer(
  subject: BalancerSubject,
  server: 1 | 2 | 3,
  body: () => Promise<void>,
): Promise<void> {
  await subject.stopServer(server);
  try {
    await body();
  } finally {
    subject.startServer(server);
  }
}

/** So many clients at once; `served` grows by the server of each, `failed` is what the others heard, in the end. */
export function knock(
  subject: BalancerSubject,
  from: Place,
  vip: Ip,
  clients: number,
): { readonly served: readonly string[]; readonly failed: Promise<readonly string[]> } {
  const served: string[] = [];
  const one = async (): Promise<readonly string[]> => {
    try {
      const connection = await subject.connect(from, vip, 6443);
      served.push(connection.server);
      connection.close();
      return [];
    } catch (error) {
      return [String(error)];
    }
  };
  const failed = Promise.all(Array.from({ length: clients }, one)).then((each) => each.flat());
  return { served, failed };
}
