import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World, type TestNode, type Wish } from './scene.ts';

const each = { perServiceElection: true };
const note = (key: string, value: string) => ({ annotations: { [`kube-vip.io/${key}`]: value } });

interface Row {
  readonly what: string;
  readonly one: Partial<Wish>;
  readonly two: Partial<Wish>;
  /** What both are told; undefined: nothing. */
  readonly told: string | undefined;
}

const rows: readonly Row[] = [
  { what: 'nothing', one: {}, two: {}, told: undefined },
  { what: 'the same lease', one: note('leaseName', 'x'), two: note('leaseName', 'x'), told: undefined },
  {
    what: 'lease names',
    one: note('leaseName', 'x'),
    two: note('leaseName', 'y'),
    told: 'LeaseConflict kube-vip.io/leaseName: lease shop/A of shop/SELF and shop/B of shop/OTHER on 192.0.2.1: an address has one holder, shop/x decides',
  },
  {
    what: 'a lease name and none',
    one: {},
    two: note('leaseName', 'y'),
    told: 'LeaseConflict kube-vip.io/leaseName: lease shop/A of shop/SELF and shop/B of shop/OTHER on 192.0.2.1: an address has one holder, shop/kubevip-one decides',
  },
  {
    what: 'externalTrafficPolicy',
    one: { policy: 'Local' },
    two: {},
    told: 'PolicyConflict spec.externalTrafficPolicy: Local of shop/one and Cluster of shop/two on 192.0.2.1: it may be on a node without an endpoint of shop/one',
  },
  {
    what: 'interfaces',
    one: note('serviceInterface', 'eth0'),
    two: {},
    told: 'InterfaceConflict kube-vip.io/serviceInterface: C of shop/SELF and D of shop/OTHER: 192.0.2.1 is on one link, that of shop/one, the oldest',
  },
  {
    what: 'service security',
    one: note('ignore-service-security', 'true'),
    two: {},
    told: 'SecurityConflict kube-vip.io/ignore-service-security: set for shop/one and not for shop/two: 192.0.2.1 is open for both',
  },
  {
    what: 'a port',
    one: { port: 81 },
    two: {},
    told: 'PortConflict spec.ports: 81/TCP of shop/SELF and of shop/OTHER on 192.0.2.1: one of them gets the connections of both',
  },
];

/** The text as the one of the two is told it. */
function textFor(name: 'one' | 'two', text: string, { one, two }: Row): string {
  const lease = (wish: Partial<Wish>, own: string): string =>
    wish.annotations?.['kube-vip.io/leaseName'] ?? `kubevip-${own}`;
  const link = (wish: Partial<Wish>): string => wish.annotations?.['kube-vip.io/serviceInterface'] ?? 'none';
  const [self, other] = name === 'one' ? [one, two] : [two, one];
  const otherName = name === 'one' ? 'two' : 'one';
  return `${name} ${text}`
    .replace('SELF', name)
    .replace('OTHER', otherName)
    .replace('shop/A', `shop/${lease(self, name)}`)
    .replace('shop/B', `shop/${lease(other, otherName)}`)
    .replace(': C of', `: ${link(self)} of`)
    .replace(' D of', ` ${link(other)} of`);
}

for (const row of rows) {
  const { what, one, two, told } = row;
  test(`Services on one address that disagree about ${what}: both are told, no other is concerned`, async (t) => {
    const world = new World({ ...each, guarded: true });
    t.after(() => world.close());
    const node = await world.add('a');
    await world.run(400);
    world.serve({ name: 'one', vip: '192.0.2.1', port: 80, ...one });
    world.serve({ name: 'two', vip: '192.0.2.1', port: 81, created: '2026-01-01T00:00:01Z', ...two });
    world.serve({ name: 'alone', vip: '192.0.2.2', port: 80 });
    await world.run(400);
    const expected = told === undefined ? [] : [textFor('one', told, row), textFor('two', told, row)];
    assert.deepEqual([...node.told].sort(), expected);
    assert.deepEqual(node.vips(), ['192.0.2.1/32@eth0', '192.0.2.2/32@eth0']);
  });
}

test('a Service in conflict with many others is told of one', async (t) => {
  const world = new World(each);
  t.after(() => world.close());
  const node = await world.add('a');
  await world.run(400);
  for (let i = 0; i < 30; i++) world.serve({ name: `s${i}`, vip: '192.0.2.1', port: 80 });
  await world.run(200);
  const first = node.told.filter((line) => line.startsWith('s0 '));
  assert.equal(first.length, 1);
});

/** Node a with links eth0, the configured one, eth1 and eth2. */
async function linked(
  options: ConstructorParameters<typeof World>[0],
): Promise<{ world: World; node: TestNode }> {
  const world = new World(options);
  const kernel = world.newKernel();
  for (const name of ['eth1', 'eth2']) kernel.addLink({ name });
  const node = await world.add('a', kernel);
  await world.run(400);
  return { world, node };
}
const aged = (second: number): string => `2026-01-01T00:00:0${second}Z`;

for (const reach of ['layer2', 'route'] as const) {
  test(`an address is on one link, that of the oldest Service that has it (${reach})`, async (t) => {
    const { world, node } = await linked({ ...each, guarded: true, reach });
    t.after(() => world.close());
    const links = (): readonly string[] => node.specs('192.0.2.1', reach === 'layer2' ? 'address' : 'route');
    const one = { name: 'one', vip: '192.0.2.1', port: 80, created: aged(1) };
    const two = { name: 'two', vip: '192.0.2.1', port: 81, created: aged(2) };
    world.serve({ ...two, ...note('serviceInterface', 'eth1') });
    await world.run(400);
    assert.deepEqual(links(), ['eth1']);
    world.serve(one);
    await world.run(20_000);
    assert.deepEqual(links(), ['eth0']);
    world.put({ ...one, ...note('serviceInterface', 'eth2') });
    assert.deepEqual(links(), ['eth2']);
    world.remove('one');
    await world.run(100);
    assert.deepEqual(links(), ['eth1']);
    assert.deepEqual(node.guards(), ['192.0.2.1 tcp/81']);
    if (reach === 'layer2') assert.deepEqual(node.vips(), ['192.0.2.1/32@eth1']);
    world.remove('two');
    await world.run(100);
    assert.deepEqual([...links(), ...node.vips(), ...node.guards()], []);
  });
}
