import assert from 'node:assert/strict';
import type { BalancerSubject } from '../../../src/testing/contract/balancer/index.ts';
import { publish } from '../../../src/testing/contract/balancer/clients.ts';
import { knock } from '../../../src/testing/contract/balancer/refusals.ts';
import { virtualServer } from '../../../src/testing/contract/balancer/subject.ts';
import { openRuleCounters, systemClock } from '../../../src/linux/index.ts';
import { Poller } from '../../../src/linux/poll.ts';
import { BALANCER_TABLE } from '../../../src/node/index.ts';
import { addressOf, type World } from './world.ts';

/** Of two servers, the one on the holder dies: clients elsewhere and on the holder itself hear nothing of it. */
export async function ownServerDies(subject: BalancerSubject, world: World, family: 4 | 6): Promise<void> {
  const vip = subject.vip(0, family);
  const spec = virtualServer(subject, vip);
  const own = { address: addressOf('holder', family), port: 6443, weight: 1, isProven: true };
  const realServers = [...spec.realServers.slice(0, 1), { ...own, state: 'active' as const }];
  await world.stopServer('holder');
  try {
    let before = 0;
    for (const from of ['client', 'holder'] as const) {
      await publish(subject, [{ ...spec, realServers }]);
      const { served, failed } = knock(subject, from, vip, 6);
      await subject.until('the other has served its', () => served.length >= 3);
      subject.forwarding.set([
        { ...spec, realServers: [...realServers.slice(0, 1), { ...own, state: 'dead' }] },
      ]);
      assert.deepEqual(await failed, [], from);
      assert.deepEqual(served, Array(6).fill('server1'));
      const counted = await withheld(family);
      assert.ok(counted > before, `${counted} refusals are counted, ${before} before`);
      before = counted;
    }
  } finally {
    world.serve('holder');
  }
}

/** Refusals that the holder, where this runs, has kept from clients. */
async function withheld(family: 4 | 6): Promise<number> {
  const counters = openRuleCounters(new Poller(systemClock()));
  try {
    const rules = await counters.read(family === 4 ? 'ip' : 'ip6', BALANCER_TABLE);
    return rules.reduce((sum, { packets }) => sum + packets, 0);
  } finally {
    counters.close();
  }
}
