import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyOf, ip, parsePrefix } from '../../../lib/ip.ts';
import type { Route, Rule } from '../../../linux/types.ts';
import { linkOf, refused, request, withSubject, type OpenSubject } from './subject.ts';

const table = 198;

function route(to: string, change: Partial<Route> = {}): Route {
  const prefix = parsePrefix(to);
  return {
    family: familyOf(prefix?.address ?? ip('0.0.0.0')),
    destination: prefix,
    table,
    protocol: 248,
    scope: 'global',
    type: 1,
    nextHops: [],
    priority: undefined,
    source: undefined,
    realm: undefined,
    ...change,
  };
}

function via(gateway: string, ifindex?: number, weight = 1): Route['nextHops'][number] {
  return { gateway: ip(gateway), ifindex, weight };
}

function rule(priority: number, change: Partial<Rule> = {}): Rule {
  return {
    family: 4,
    priority,
    table,
    from: undefined,
    to: undefined,
    mark: undefined,
    markMask: undefined,
    protocol: 0,
    ...change,
  };
}

/** Routes and rules. */
export function routeContract(name: string, open: OpenSubject): void {
  const on = (title: string, body: Parameters<typeof withSubject>[1]): void => {
    test(`${name}: ${title}`, () =>
      withSubject(open, async (subject) => {
        const near = linkOf(subject);
        subject.kernel.setAddress(request(near.index, '192.0.2.1/24'));
        subject.kernel.setAddress(request(near.index, '2001:db8::1/64', { noDad: true }));
        await body(subject);
      }));
  };

  on('many routes at once: each has its own result', async (subject) => {
    const near = linkOf(subject);
    const local = (i: number, ifindex: number): Route =>
      route(`10.9.${i >> 8}.${i & 255}/32`, {
        table: 255,
        type: 2,
        scope: 'host',
        nextHops: [{ gateway: undefined, ifindex, weight: 1 }],
        priority: 249,
      });
    const many = Array.from({ length: 600 }, (_, i) => local(i, near.index));
    const results = subject.kernel.setRoutes([...many, local(600, 4096)]);
    assert.deepEqual(
      results.map((error, i) => (error === undefined ? undefined : `${i} ${error.kind}`)).filter(Boolean),
      ['600 retry'],
    );
    const filter = { table: 255, protocol: 248, family: 4 } as const;
    assert.deepEqual(await subject.kernel.routes(filter), many);
    const removed = subject.kernel.removeRoutes([local(600, near.index), ...many]);
    assert.equal(removed[0]?.kind, 'gone');
    assert.equal(removed.filter((error) => error === undefined).length, 600);
    assert.deepEqual(await subject.kernel.routes(filter), []);
  });

  on('a route is set, read back as it is, and removed', async (subject) => {
    const near = linkOf(subject);
    const wanted = [
      route('10.1.0.0/16', {
        nextHops: [via('192.0.2.2', near.index)],
        priority: 7,
        source: ip('192.0.2.1'),
      }),
      route('10.2.0.0/16', { nextHops: [via('192.0.2.2', near.index)], realm: 5 }),
      route('2001:db8:1::/48', { nextHops: [via('2001:db8::2', near.index)], priority: 7 }),
    ];
    for (const each of wanted) subject.kernel.setRoute(each);
    assert.deepEqual(await subject.kernel.routes({ table }), wanted);
    assert.deepEqual(await subject.judgeRoutes(table), [
      '10.1.0.0/16 via 192.0.2.2 dev near metric 7 src 192.0.2.1',
      '10.2.0.0/16 via 192.0.2.2 dev near',
      '2001:db8:1::/48 via 2001:db8::2 dev near metric 7',
    ]);
    for (const each of wanted) subject.kernel.removeRoute(each);
    assert.deepEqual(await subject.judgeRoutes(table), []);
    for (const each of wanted)
      assert.equal(refused('gone', () => subject.kernel.removeRoute(each)).op, 'remove route');
  });

  on('setting a route replaces the one to the same destination with the same priority', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.setRoute(route('10.1.0.0/16', { nextHops: [via('192.0.2.2', near.index)] }));
    subject.kernel.setRoute(route('10.1.0.0/16', { nextHops: [via('192.0.2.3', near.index)], priority: 9 }));
    subject.kernel.setRoute(route('10.1.0.0/16', { nextHops: [via('192.0.2.4', near.index)] }));
    assert.deepEqual(await subject.judgeRoutes(table), [
      '10.1.0.0/16 via 192.0.2.4 dev near',
      '10.1.0.0/16 via 192.0.2.3 dev near metric 9',
    ]);
  });

  on('routes may be asked for by their protocol, whatever their table', async (subject) => {
    const near = linkOf(subject);
    const ours = [
      route('10.1.0.0/16', { nextHops: [via('192.0.2.2', near.index)], protocol: 248 }),
      route('2001:db8:1::/48', { nextHops: [via('2001:db8::2', near.index)], protocol: 248, priority: 7 }),
    ];
    const other = route('10.3.0.0/16', { nextHops: [via('192.0.2.2', near.index)], protocol: 99 });
    for (const each of [...ours, other]) subject.kernel.setRoute(each);
    assert.deepEqual(await subject.kernel.routes({ protocol: 248 }), ours);
    assert.deepEqual(await subject.kernel.routes({ protocol: 99, family: 6 }), []);
  });

  on('a route may have many next hops, with weights', async (subject) => {
    const near = linkOf(subject);
    const hops = [via('192.0.2.2', near.index), via('192.0.2.3', near.index, 3)];
    const wanted = route('10.1.0.0/16', { nextHops: hops });
    subject.kernel.setRoute(wanted);
    assert.deepEqual(await subject.kernel.routes({ table, family: 4 }), [wanted]);
    subject.kernel.removeRoute(wanted);
    assert.deepEqual(await subject.kernel.routes({ table }), []);
  });

  on('a removal names the owner: a route of another protocol stays', async (subject) => {
    const near = linkOf(subject);
    const foreign = route('10.1.0.0/16', { nextHops: [via('192.0.2.2', near.index)], protocol: 4 });
    subject.kernel.setRoute(foreign);
    refused('gone', () => subject.kernel.removeRoute({ ...foreign, protocol: 248 }));
    assert.equal((await subject.kernel.routes({ table })).length, 1);
  });

  on('an IPv4 route of type local has scope host; Linux takes no wider one', async (subject) => {
    const near = linkOf(subject);
    const nextHops = [{ gateway: undefined, ifindex: near.index, weight: 1 }];
    const wanted = route('198.51.100.1/32', { type: 2, scope: 'host', nextHops });
    refused('bug', () => subject.kernel.setRoute({ ...wanted, scope: 'link' }));
    subject.kernel.setRoute(wanted);
    assert.deepEqual(await subject.kernel.routes({ table, family: 4 }), [wanted]);
  });

  on('writing a route again with another realm is reported, for IPv6 without any change', async (subject) => {
    const near = linkOf(subject);
    const seen: string[] = [];
    const watching = subject.kernel.watch(['route'], (event) => {
      if (event.kind !== 'route' || event.route.table !== table) return;
      seen.push(`${event.change} ${event.route.destination?.address} ${event.route.realm ?? ''}`.trim());
    });
    const nextHops = [{ gateway: undefined, ifindex: near.index, weight: 1 }];
    for (const realm of [1, 2]) subject.kernel.setRoute(route('198.51.100.1/32', { nextHops, realm }));
    for (const realm of [1, 2]) subject.kernel.setRoute(route('2001:db8:9::1/128', { nextHops, realm }));
    await subject.until('four route events', () => seen.length === 4);
    assert.deepEqual(seen.slice(0, 2), ['set 198.51.100.1 1', 'set 198.51.100.1 2']);
    watching.close();
  });

  on('a next hop that is not reachable, and a link that is down or absent, are `retry`', async (subject) => {
    const near = linkOf(subject);
    const unreachable = route('10.1.0.0/16', { nextHops: [via('198.51.100.1')] });
    refused('retry', () => subject.kernel.setRoute(unreachable));
    refused('retry', () =>
      subject.kernel.setRoute(route('2001:db8:1::/48', { nextHops: [via('2001:db8:ffff::1')] })),
    );
    refused('retry', () =>
      subject.kernel.setRoute(route('10.1.0.0/16', { nextHops: [via('192.0.2.2', 4096)] })),
    );
    subject.setLink('near', 'down');
    const wanted = route('10.1.0.0/16', { nextHops: [via('192.0.2.2', near.index)] });
    refused('retry', () => subject.kernel.setRoute(wanted));
  });

  on('the routes of a downed link are gone, and do not come back with it', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.setRoute(route('10.1.0.0/16', { nextHops: [via('192.0.2.2', near.index)] }));
    subject.kernel.setRoute(route('2001:db8:1::/48', { nextHops: [via('2001:db8::2', near.index)] }));
    subject.setLink('near', 'down');
    subject.setLink('near', 'up');
    assert.deepEqual(await subject.kernel.routes({ table }), []);
  });

  on('a route through any link of the subnet is resolved, and reported to watchers', async (subject) => {
    const near = linkOf(subject);
    const seen: Route[] = [];
    const watching = subject.kernel.watch(['route'], (event) => {
      if (event.kind === 'route' && event.route.table === table) seen.push(event.route);
    });
    const wanted = route('10.1.0.0/16', { nextHops: [via('192.0.2.2')] });
    subject.kernel.setRoute(wanted);
    await subject.until('the route event', () => seen.length > 0);
    assert.deepEqual(seen, [{ ...wanted, nextHops: [via('192.0.2.2', near.index)] }]);
    watching.close();
  });

  on('prefix routes come with addresses', async (subject) => {
    const main = await subject.kernel.routes({ table: 254, family: 4 });
    const found = main.map(({ destination, source, scope, protocol }) => [
      destination && `${destination.address}/${destination.length}`,
      source,
      scope,
      protocol,
    ]);
    assert.deepEqual(found, [['192.0.2.0/24', '192.0.2.1', 'link', 2]]);
  });

  on('rules are added once, listed and removed', async (subject) => {
    const before = await subject.kernel.rules();
    const wanted = [
      rule(100, { from: { address: ip('192.0.2.1'), length: 32 }, protocol: 248 }),
      rule(101, { to: { address: ip('10.0.0.0'), length: 8 } }),
      rule(102, { mark: 0x10, markMask: 0xff }),
      rule(100, { family: 6, from: { address: ip('2001:db8::1'), length: 128 } }),
    ];
    for (const each of wanted) subject.kernel.addRule(each);
    const added = (await subject.kernel.rules()).filter((found) => found.table === table);
    assert.deepEqual(added, wanted);
    for (const each of wanted) refused('already', () => subject.kernel.addRule(each));
    for (const each of wanted) subject.kernel.removeRule(each);
    assert.deepEqual(await subject.kernel.rules(), before);
    for (const each of wanted) refused('gone', () => subject.kernel.removeRule(each));
    subject.kernel.addRule(rule(103, { mark: 1 }));
    assert.ok(
      (await subject.kernel.rules()).some(({ mark, markMask }) => mark === 1 && markMask === 0xffffffff),
    );
    subject.kernel.removeRule(rule(103, { mark: 1 }));
    assert.deepEqual(await subject.kernel.rules(), before);
  });
}
