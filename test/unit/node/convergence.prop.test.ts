import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import type { Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { createNode, type Node, type Owner, type Spec } from '../../../src/node/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { addressOf, announcementOf } from './scene.ts';
import { runs } from '../../../src/testing/runs.ts';

const vips = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '2001:db8::1', '2001:db8::2'];
const links = ['eth0', 'eth1'];
const owners: readonly Owner[] = ['control-plane', 'service/default/a'];

const vip = fc.constantFrom(...vips);
const link = fc.constantFrom(...links);
const owner = fc.constantFrom(...owners);
const short = fc.boolean();

/** The length of a VIP's prefix, host or subnet. */
const lengthOf = (address: string, isHost: boolean): number =>
  address.includes(':') ? (isHost ? 128 : 64) : isHost ? 32 : 24;

/** Addresses that others have put on the node before we start: never ours to touch. */
const foreign = fc.record({ link, last: fc.integer({ min: 100, max: 103 }), host: short });
/** What a predecessor left: marked, or deprecated only. */
const left = fc.record({ link, vip, host: short, marked: short });

type Action =
  | {
      readonly do: 'publish';
      readonly owner: Owner;
      readonly vips: readonly string[];
      readonly link: string;
      readonly host: boolean;
    }
  | { readonly do: 'withdraw'; readonly owner: Owner }
  | { readonly do: 'take'; readonly vip: string; readonly link: string; readonly host: boolean }
  | { readonly do: 'down' | 'up' | 'recreate' | 'lose'; readonly link: string }
  | { readonly do: 'refuse'; readonly op: Refused; readonly times: number }
  | { readonly do: 'flush' }
  | { readonly do: 'restart' }
  | { readonly do: 'turn' }
  | { readonly do: 'wait'; readonly ms: number };

const refused = ['set address', 'remove address', 'set route', 'remove route'] as const;
type Refused = (typeof refused)[number];

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ do: fc.constant('publish' as const), owner, vips: fc.subarray(vips), link, host: short }),
  fc.record({ do: fc.constant('withdraw' as const), owner }),
  fc.record({ do: fc.constant('take' as const), vip, link, host: short }),
  fc.record({
    do: fc.constantFrom('down' as const, 'up' as const, 'recreate' as const, 'lose' as const),
    link,
  }),
  fc.record({
    do: fc.constant('refuse' as const),
    op: fc.constantFrom(...refused),
    times: fc.integer({ min: 1, max: 3 }),
  }),
  fc.constantFrom({ do: 'flush' as const }, { do: 'restart' as const }, { do: 'turn' as const }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 1500 }) }),
);

function foreignLines(kernel: FakeKernel): readonly string[] {
  return kernel
    .showAddresses()
    .split('\n')
    .filter((line) => /10\.9\.0\.1|2001:db8:f/.test(line))
    .map((line) => line.replace(/ secondary/, ''))
    .sort();
}

/** Deleting a link or setting it down takes foreign addresses along; that is not our doing. */
function perform(kernel: FakeKernel, action: Extract<Action, { readonly link: string }>): void {
  const { link: name } = action;
  if (action.do === 'down') kernel.setLinkDown(name);
  else if (action.do === 'up') kernel.setLinkUp(name);
  else if (action.do === 'recreate') kernel.recreateLink(name);
  else if (action.do === 'take') tryTake(kernel, name, action.vip, lengthOf(action.vip, action.host));
  else if (action.do === 'lose') {
    kernel.loseEvents(() => {
      for (const address of vips) tryTake(kernel, name, address, lengthOf(address, true));
    });
  }
}

/** Somebody else runs `ip route flush table local proto 248`. */
async function flush(kernel: FakeKernel): Promise<void> {
  const found = await kernel.routes({ table: 255, protocol: 248 });
  kernel.removeRoutes(found);
}

/** `LINK ADDRESS` of each VIP; an unmarked IPv6 one with another prefix stays what it was. */
function deprecatedOn(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\d+: (\S+) inet6? ([^/]+)\/\d+ .*deprecated/.exec(line);
    return match === null ? [] : [`${match[1] ?? ''} ${match[2] ?? ''}`];
  });
}

/** Addresses wait for their turn, so that routes stand in for them. */
function slowDown(kernel: FakeKernel, clock: FakeClock): void {
  const set = kernel.setAddresses.bind(kernel);
  kernel.setAddresses = (requests) => {
    clock.pause(10 * requests.length);
    return set(requests);
  };
}

function tryTake(kernel: FakeKernel, name: string, address: string, length: number): void {
  const has = kernel.showAddresses({ link: name }).includes(` ${address}/${length} `);
  if (has) kernel.takeAddress(name, address, length);
}

test('from any kernel state, through any trouble: the wanted addresses are there, nothing foreign is touched', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(foreign, { maxLength: 4 }),
      fc.array(left, { maxLength: 4 }),
      fc.array(action, { maxLength: 25 }),
      short,
      async (foreigners, leftovers, actions, isCrowded) => {
        const clock = new FakeClock();
        const kernel = new FakeKernel({ clock });
        for (const name of links) {
          kernel.addLink({ name });
          // With its last IPv4 address a link would lose its routes.
          kernel.putAddress(name, '10.9.9.9', 32);
        }
        for (const { link: name, vip: address, host, marked } of leftovers) {
          kernel.putAddress(name, address, lengthOf(address, host), {
            preferredLifetime: 0,
            protocol: marked ? 248 : 0,
            noDad: true,
          });
        }
        for (const { link: name, last, host } of foreigners) {
          kernel.putAddress(name, `10.9.0.${last}`, host ? 32 : 24);
          kernel.putAddress(name, `2001:db8:f::${last}`, host ? 128 : 64, { noDad: true });
        }
        const claimed = new Set(vips.map((address) => addressOf(address).vip));
        const isClaimed = (vip: Ip): boolean => claimed.has(vip);
        const make = (): Node => createNode({ kernel, clock, log: silentLogger }, { isClaimed, crowd: 0 });
        let node = make();
        if (isCrowded) slowDown(kernel, clock);
        await node.start();
        const wanted = new Map<Owner, string[]>();
        const published = new Map<Owner, readonly Spec[]>();
        for (const next of actions) {
          const before = foreignLines(kernel);
          if (next.do === 'publish') {
            const specs = next.vips.flatMap((address) => [
              addressOf(address, { link: next.link, prefixLength: lengthOf(address, next.host) }),
              announcementOf(address, { link: next.link }),
            ]);
            node.publish(next.owner, specs);
            published.set(next.owner, specs);
            wanted.set(
              next.owner,
              next.vips.map((address) => `${next.link} ${address}`),
            );
          } else if (next.do === 'withdraw') {
            node.withdraw(next.owner);
            wanted.delete(next.owner);
            published.delete(next.owner);
          } else if (next.do === 'wait') await clock.advance(next.ms);
          else if (next.do === 'turn') await setImmediate();
          else if (next.do === 'flush') await flush(kernel);
          else if (next.do === 'restart') {
            node.close();
            node = make();
            await node.start();
            for (const [name, specs] of published) node.publish(name, specs);
          } else if (next.do === 'refuse') kernel.failNext(next.op, errnoOf.ENOBUFS, next.times);
          else perform(kernel, next);
          if (!['down', 'up', 'recreate'].includes(next.do)) assert.deepEqual(foreignLines(kernel), before);
        }
        for (const name of links) kernel.setLinkUp(name);
        // Failures run out, links are up, and one full check has passed.
        await clock.advance(70_000);
        const settled = foreignLines(kernel);
        node.sweep();
        await clock.advance(60_000);
        assert.deepEqual(foreignLines(kernel), settled);
        const expected = new Set([...wanted.values()].flat());
        const ours = deprecatedOn(kernel.showAddresses({ protocol: 248 }));
        const all = new Set(deprecatedOn(kernel.showAddresses()));
        for (const place of ours) assert.ok(expected.has(place), `${place} is marked and nobody wants it`);
        for (const place of expected) assert.ok(all.has(place), `${place} is wanted and not there`);
        assert.doesNotMatch(kernel.showAddresses({ protocol: 248 }), /tentative|dadfailed/);
        assert.ok(node.status().every(({ state }) => state.state === 'ready'));
        assert.deepEqual(await kernel.routes({ table: 255 }), []);
        for (const name of wanted.keys()) node.withdraw(name);
        // A refusal that nothing has run into yet is met here, and all others after it.
        await clock.advance(70_000);
        assert.equal(kernel.showAddresses({ protocol: 248 }), '');
        assert.deepEqual(await kernel.routes({ table: 255 }), []);
        assert.deepEqual(foreignLines(kernel), settled);
        node.close();
      },
    ),
    { numRuns: runs(150) },
  );
});
