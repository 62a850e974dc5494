import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, parsePrefix } from '../../../src/lib/ip.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import type { Route } from '../../../src/linux/types.ts';
import type { RouteSpec, Spec } from '../../../src/node/types.ts';
import type { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { addressOf, scene, type Scene } from './scene.ts';

const form = { table: 198, protocol: 248, type: 1 };
const vip = '10.0.0.5';
const vip6 = 'fd00::5';

function routeOf(to: string, more: Partial<RouteSpec> = {}): RouteSpec {
  return { kind: 'route', vip: ip(to), link: 'eth0', turn: 0, ...more };
}

function foreign(kernel: FakeKernel, to: string, more: Partial<Route> = {}): Route {
  const destination = parsePrefix(to);
  assert.ok(destination);
  const route: Route = {
    family: to.includes(':') ? 6 : 4,
    destination,
    table: 198,
    protocol: 248,
    scope: 'global',
    type: 1,
    nextHops: [{ gateway: undefined, ifindex: kernel.linkByName('eth0')?.index, weight: 1 }],
    priority: undefined,
    source: undefined,
    realm: undefined,
    ...more,
  };
  kernel.setRoute(route);
  return route;
}

async function routed(
  setUp?: (kernel: FakeKernel) => void,
  routes = form,
): Promise<Scene & { readonly table: () => Promise<readonly string[]> }> {
  const made = await scene(setUp, { routes });
  return {
    ...made,
    table: async () => (await made.kernel.routes({ table: routes.table })).map(show),
  };
}

function show({ destination, protocol, type, scope, realm }: Route): string {
  const more = `${scope === 'global' ? '' : ` ${scope}`}${realm === undefined ? '' : ` realm ${realm}`}`;
  const kind = type === 1 ? '' : `type ${type} `;
  return `${kind}${destination?.address}/${destination?.length} proto ${protocol}${more}`;
}

const stateOf = ({ node }: Scene): unknown => node.status().find(({ spec }) => spec.kind === 'route')?.state;

test('a wanted VIP has a route to itself alone in our table, whatever its prefix; an unwanted one has none', async () => {
  const { node, table } = await routed();
  node.publish('control-plane', [addressOf(vip, { prefixLength: 24 }), routeOf(vip), routeOf(vip6)]);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248', 'fd00::5/128 proto 248']);
  node.withdraw('control-plane');
  assert.deepEqual(await table(), []);
});

test('CP-190 table, protocol and type are as set; a local route has the scope that Linux wants for it', async () => {
  const { node, table, kernel } = await routed(undefined, { table: 7, protocol: 99, type: 2 });
  node.publish('control-plane', [routeOf(vip), routeOf(vip6)]);
  assert.deepEqual(await table(), ['type 2 10.0.0.5/32 proto 99 host', 'type 2 fd00::5/128 proto 99 link']);
  assert.deepEqual(await kernel.routes({ table: 198 }), []);
});

test('CP-189 each turn writes the route again, with the other realm', async () => {
  const { node, kernel, table, clock } = await routed();
  const seen: (number | undefined)[] = [];
  kernel.watch(['route'], (event) => {
    if (event.kind === 'route') seen.push(event.route.realm);
  });
  for (const turn of [0, 1, 2, 2, 3]) node.publish('control-plane', [routeOf(vip, { turn })]);
  await clock.advance(1);
  assert.deepEqual(seen, [undefined, 1, 2, 1]);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248 realm 1']);
});

test('a route that was not written for a whole refresh is written again, with the other realm, in slices', async () => {
  const { node, kernel, clock } = await routed();
  node.publish(
    'service/default/a',
    Array.from({ length: 100 }, (_, i) => routeOf(`10.0.1.${i}`)),
  );
  await clock.advance(25_000);
  node.publish('control-plane', [routeOf(vip, { turn: 1 })]);
  const seen: string[] = [];
  kernel.watch(['route'], (event) => {
    if (event.kind !== 'route') return;
    const { destination, realm } = event.route;
    seen.push(`${event.change} ${destination?.address} ${realm ?? ''}`.trim());
  });
  await clock.advance(5000);
  assert.deepEqual(seen.length, 64);
  await clock.advance(1000);
  assert.deepEqual(seen.length, 100);
  assert.ok(seen.includes('set 10.0.1.0 1') && !seen.some((line) => line.includes(vip)));
  seen.length = 0;
  await clock.advance(30_000);
  assert.ok(seen.includes('set 10.0.1.0 2') && seen.includes(`set ${vip} 2`));
});

test('a route that somebody deletes or changes is put back with the event that says so', async () => {
  const { node, kernel, table, clock, logged } = await routed();
  node.publish('control-plane', [routeOf(vip)]);
  const [route] = await kernel.routes({ table: 198 });
  assert.ok(route);
  kernel.removeRoute(route);
  await clock.advance(1);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
  assert.ok(logged.includes(`warn route had vanished, put back ${vip}`));
  kernel.setRoute({ ...route, scope: 'link' });
  await clock.advance(1);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
  assert.equal(node.counters().routesRestored, 1);
});

test('our own removals are not taken for those of others', async () => {
  const { node, table, clock } = await routed();
  for (let i = 0; i < 3; i++) {
    node.publish('control-plane', [routeOf(vip)]);
    node.withdraw('control-plane');
  }
  node.publish('control-plane', [routeOf(vip)]);
  await clock.advance(1);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
  assert.equal(node.counters().routesRestored, 0);
  assert.equal(node.counters().routesSet, 4);
});

test('routes that Linux dropped silently with their link or its last address are back', async () => {
  const made = await routed();
  const { node, kernel, table, clock } = made;
  node.publish('control-plane', [routeOf(vip), routeOf(vip6)]);
  kernel.setLinkDown('eth0');
  await clock.advance(1);
  assert.deepEqual(stateOf(made), { state: 'waiting', reason: 'link eth0 is down' });
  kernel.setLinkUp('eth0');
  await clock.advance(1);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248', 'fd00::5/128 proto 248']);
  assert.deepEqual(stateOf(made), { state: 'ready' });
  node.publish('service/default/a', [addressOf('10.0.0.9')]);
  node.withdraw('service/default/a');
  await clock.advance(1);
  assert.equal((await table()).length, 2);
});

test('lost events are made up for by a look at the table', async () => {
  const { node, kernel, table, clock } = await routed();
  node.publish('control-plane', [routeOf(vip)]);
  const [route] = await kernel.routes({ table: 198 });
  assert.ok(route);
  kernel.loseEvents(() => {
    kernel.removeRoute(route);
  });
  await clock.advance(1);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
});

test('a foreign route to the VIP is left alone and said; once it goes, ours is there', async () => {
  const made = await routed((kernel) => foreign(kernel, '10.0.0.5/32', { protocol: 186 }));
  const { node, kernel, table, clock } = made;
  node.publish('control-plane', [routeOf(vip)]);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 186']);
  assert.deepEqual(stateOf(made), {
    state: 'failed',
    reason: 'a route of protocol 186 is in the way; remove it, or use another table',
    retryInMs: undefined,
  });
  const [route] = await kernel.routes({ table: 198 });
  assert.ok(route);
  kernel.removeRoute(route);
  await clock.advance(1);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
});

test('a route of the usual protocol becomes ours where another one is set now', async () => {
  const { node, table } = await routed(
    (kernel) => {
      foreign(kernel, '10.0.0.5/32', { protocol: 248 });
      foreign(kernel, '10.0.0.6/32', { protocol: 248, type: 2, scope: 'host' });
    },
    { ...form, protocol: 200 },
  );
  node.publish('control-plane', [routeOf(vip), routeOf('10.0.0.6')]);
  assert.deepEqual(await table(), ['type 2 10.0.0.6/32 proto 248 host', '10.0.0.5/32 proto 200']);
});

test('RT-06 the route of a version that set no protocol becomes ours', async () => {
  const { node, table } = await routed((kernel) => foreign(kernel, '10.0.0.5/32', { protocol: 3 }));
  node.publish('service/default/a', [routeOf(vip)]);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
});

test('RT-05 a route goes with its last owner, and one that was refused is tried again', async () => {
  const made = await routed();
  const { node, kernel, table, clock } = made;
  kernel.failNext('set route', errnoOf.ENETDOWN);
  node.publish('service/default/a', [routeOf(vip)]);
  assert.deepEqual(await table(), []);
  await clock.advance(100);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
  node.publish('service/default/b', [routeOf(vip)]);
  node.withdraw('service/default/a');
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
  node.withdraw('service/default/b');
  assert.deepEqual(await table(), []);
});

test('a route waits for a lease that is not held', async () => {
  const made = await routed();
  const { node, table } = made;
  let held = false;
  const fence = { holds: () => held };
  const specs: readonly Spec[] = [routeOf(vip, { fence })];
  node.publish('service/default/a', specs);
  assert.deepEqual(stateOf(made), { state: 'waiting', reason: 'the lease is not held' });
  held = true;
  node.publish('service/default/a', specs);
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
});

test('RT-07 a sweep removes routes with our mark that nobody wants, and no others', async () => {
  const { node, table } = await routed((kernel) => {
    foreign(kernel, '10.0.0.5/32');
    foreign(kernel, '10.0.0.6/32');
    foreign(kernel, '10.9.0.0/16');
    foreign(kernel, '10.8.0.0/16', { protocol: 4 });
    foreign(kernel, '10.7.0.7/32', { table: 199 });
    foreign(kernel, 'fd00::6/128');
  });
  node.publish('control-plane', [routeOf(vip)]);
  assert.equal(node.sweepRoutes(({ destination }) => destination?.address === '10.0.0.6').length, 1);
  assert.equal((await table()).length, 4);
  node.sweepRoutes(() => true);
  assert.deepEqual(await table(), ['10.8.0.0/16 proto 4', '10.0.0.5/32 proto 248']);
  assert.equal(node.counters().routesSwept, 3);
});

test('a restarted process adopts the route of its predecessor', async () => {
  const { node, restart, table, kernel, clock } = await routed();
  node.publish('control-plane', [routeOf(vip)]);
  const gone: string[] = [];
  kernel.watch(['route'], (event) => {
    if (event.kind === 'route' && event.change === 'gone') gone.push('gone');
  });
  const next = await restart();
  assert.deepEqual(await table(), ['10.0.0.5/32 proto 248']);
  next.publish('control-plane', [routeOf(vip)]);
  await clock.advance(1);
  assert.deepEqual(gone, []);
  next.withdraw('control-plane');
  assert.deepEqual(await table(), []);
});

test('the first owner’s link wins; the other waits until it is free', async () => {
  const { node, kernel } = await routed((k) => k.addLink({ name: 'eth1' }));
  node.publish('control-plane', [routeOf(vip)]);
  node.publish('service/default/a', [routeOf(vip, { link: 'eth1' })]);
  const via = async (): Promise<unknown> =>
    (await kernel.routes({ table: 198 })).map(({ nextHops }) => nextHops[0]?.ifindex);
  assert.deepEqual(await via(), [kernel.linkByName('eth0')?.index]);
  node.withdraw('control-plane');
  assert.deepEqual(await via(), [kernel.linkByName('eth1')?.index]);
});

test('a route that waits for its turn among very many is not swept', async () => {
  const vips = Array.from({ length: 400 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const { node, table, clock } = await routed((kernel) => {
    for (const to of vips) foreign(kernel, `${to}/32`);
  });
  node.publish(
    'service/shop/web',
    vips.map((to) => routeOf(to)),
  );
  assert.equal(node.sweepRoutes(() => true).length, 0);
  await clock.advance(100);
  assert.equal((await table()).length, 400);
});
