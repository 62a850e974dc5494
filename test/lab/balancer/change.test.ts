import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ip, type Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import {
  openForwardingPorts,
  openKernel,
  systemClock,
  type Nftables,
  type NftStep,
} from '../../../src/linux/index.ts';
import {
  createForwarding,
  type Forwarding,
  type ForwardingMethod,
  type RealServer,
  type VirtualServerSpec,
} from '../../../src/node/forwarding/index.ts';
import { howEnded } from '../../../src/testing/contract/balancer/clients.ts';
import type { ClientConnection } from '../../../src/testing/contract/balancer/index.ts';
import { addressOf, LINK, run, until, vipOf, World } from './world.ts';

/** One of 32 servers of 8 VIPs comes or goes: one batch, of what has to change and no more. */
const vips = 8;
const perVip = 32;
const server = (address: Ip): RealServer => ({
  address,
  port: 6443,
  weight: 1,
  state: 'active',
  isProven: true,
});
const batches: (readonly NftStep[])[] = [];

function counted(inner: Nftables): Nftables {
  return {
    commit: (steps) => {
      batches.push(steps);
      inner.commit(steps);
    },
    read: (name, chains) => inner.read(name, chains),
    elements: (family, table, set) => inner.elements(family, table, set),
    watch: (name, onChange) => inner.watch(name, onChange),
    close: () => inner.close(),
  };
}

interface Open {
  readonly forwarding: Forwarding;
  close(): Promise<void>;
}

async function open(): Promise<Open> {
  const kernel = openKernel({ clock: systemClock() });
  const ports = await openForwardingPorts(kernel);
  assert.ok(ports.nftables);
  const forwarding = createForwarding(
    { ...ports, nftables: counted(ports.nftables), clock: systemClock(), log: silentLogger },
    { choice: { backend: 'nftables', reason: 'the test says so' } },
  );
  await forwarding.start();
  const close = async (): Promise<void> => {
    await forwarding.close();
    ports.close();
    kernel.close();
  };
  return { forwarding, close };
}

const real = ([1, 2, 3] as const).map((n) => server(addressOf(`server${n}`, 4)));

function phantoms(): readonly RealServer[] {
  return Array.from({ length: perVip - 3 }, (_, n) => server(ip(`10.77.0.${200 + n}`)));
}

function virtualServers(method: ForwardingMethod, realServers: readonly RealServer[]): VirtualServerSpec[] {
  return Array.from({ length: vips }, (_, n) => ({
    kind: 'virtual-server',
    vip: vipOf(n, 4),
    port: 6443,
    protocol: 'tcp',
    scheduler: 'rr',
    method,
    link: LINK,
    realServers,
  }));
}

/** The first three of a new round go to the three servers that are there. */
async function openConnections(world: World): Promise<readonly ClientConnection[]> {
  const connections: ClientConnection[] = [];
  for (const vip of [vipOf(0, 4), vipOf(vips - 1, 4)])
    for (let n = 0; n < 3; n++) connections.push(await world.connectFrom('client', vip, 6443));
  return connections;
}

function kindsOf(steps: readonly NftStep[]): Readonly<Record<string, number>> {
  const kinds: Record<string, number> = {};
  for (const step of steps) kinds[step.do] = (kinds[step.do] ?? 0) + 1;
  return kinds;
}

/** The steps of the one batch in which the third server leaves all VIPs. */
async function change(method: ForwardingMethod): Promise<readonly NftStep[]> {
  const world = new World({ directReturn: method === 'directroute', vips });
  try {
    // Nobody answers there; direct return only wants to know where it would be.
    for (const [n, { address }] of phantoms().entries())
      run('holder', `ip neigh replace ${address} lladdr 02:77:00:00:01:${10 + n} dev ${LINK} nud permanent`);
    const opened = await open();
    try {
      return await changeIn(world, opened.forwarding, method);
    } finally {
      await opened.close();
    }
  } finally {
    await world.close();
  }
}

async function changeIn(
  world: World,
  forwarding: Forwarding,
  method: ForwardingMethod,
): Promise<readonly NftStep[]> {
  forwarding.set(virtualServers(method, [...real, ...phantoms()]));
  await until('all are ready', () => forwarding.status().specs.every(({ state }) => state.state === 'ready'));
  const connections = await openConnections(world);
  batches.length = 0;
  forwarding.set(virtualServers(method, [...real.slice(0, 2), ...phantoms()]));
  assert.equal(batches.length, 1);
  for (const connection of connections) {
    if (connection.server === 'server3') assert.equal(await howEnded(connection), 'ECONNRESET');
    else assert.equal(await connection.echo(), true, connection.server);
  }
  // No repair has followed but that the flows of the third were forgotten, and nobody else was cut.
  const after = batches.slice(1).flat();
  assert.ok(after.every((step) => step.do === 'delete elements' && step.set.startsWith('flows_')));
  const { connectionsCut, repairs } = forwarding.status().counters;
  assert.deepEqual({ connectionsCut, repairs }, { connectionsCut: 2, repairs: 0 });
  for (const connection of connections) connection.close();
  return batches[0] ?? [];
}

/** The last server takes the place of the third; its own leads to the first, for packets on their way. */
function assertTwoTurnsEach(steps: readonly NftStep[], maps: number): void {
  const turns = steps.filter((step) => step.do === 'add elements' && step.set.startsWith('turns_'));
  assert.equal(turns.length, maps);
  for (const step of turns) assert.equal('elements' in step && step.elements.length, 2);
}

describe('one of 32 servers of 8 VIPs leaves: one batch, and connections to the others go on', () => {
  test('translating: one rule, two turns and a place among those that may refuse for each VIP', async () => {
    const steps = await change('masquerade');
    assert.deepEqual(kindsOf(steps), {
      'flush chain': vips,
      'add rule': vips,
      'delete elements': vips + 1,
      'add elements': vips,
    });
    assertTwoTurnsEach(steps, vips);
  });

  test('direct return: two rules and four turns for each VIP, and the way to the server', async () => {
    const steps = await change('directroute');
    assert.deepEqual(kindsOf(steps), {
      'flush chain': 2 * vips + 1,
      'add rule': 2 * vips,
      'delete elements': 2 * vips + 2,
      'add elements': 2 * vips,
      'delete chain': 1,
    });
    assertTwoTurnsEach(steps, 2 * vips);
  });
});
