import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { Route } from '../../../src/linux/types.ts';
import { removeStrayRoutes } from '../../../src/node/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';

const vip = ip('10.0.0.9');
const vip6 = ip('fd00::9');

/** A kernel with one route for each of these, and what is left of them afterwards. */
async function left(
  routes: Readonly<Record<string, Partial<Route>>>,
  options: { readonly protocol?: number; readonly table?: number } = {},
): Promise<readonly string[]> {
  const kernel = new FakeKernel({ clock: new FakeClock() });
  const { index } = kernel.addLink({ name: 'eth0' });
  kernel.setAddress({
    ifindex: index,
    address: ip('10.0.0.1'),
    prefixLength: 24,
    validLifetime: Infinity,
    preferredLifetime: Infinity,
    noDad: false,
    scope: 'global',
    protocol: 0,
    broadcast: undefined,
  });
  const form = (given: Partial<Route>): Route => ({
    family: 4,
    destination: { address: vip, length: 32 },
    table: 198,
    protocol: 248,
    scope: 'link',
    type: 1,
    nextHops: [{ gateway: undefined, ifindex: index, weight: 1 }],
    priority: undefined,
    source: undefined,
    realm: undefined,
    ...given,
  });
  for (const given of Object.values(routes)) kernel.setRoute(form(given));
  await removeStrayRoutes(
    { kernel, log: silentLogger },
    { vips: new Set([vip, vip6]), protocol: options.protocol ?? 248, table: options.table },
  );
  const now = await kernel.routes();
  const isThere = (wanted: Route): boolean =>
    now.some(
      ({ table, destination, protocol }) =>
        table === wanted.table &&
        protocol === wanted.protocol &&
        destination?.address === wanted.destination?.address &&
        destination?.length === wanted.destination?.length,
    );
  return Object.entries(routes).flatMap(([name, given]) => (isThere(form(given)) ? [name] : []));
}

describe('routes that a predecessor wrote where this process writes none', () => {
  it('go, of both families, in whatever table', async () => {
    assert.deepEqual(
      await left({
        usual: {},
        turned: { table: 199, realm: 2 },
        main: { table: 254 },
        v6: { family: 6, destination: { address: vip6, length: 128 }, scope: 'global' },
      }),
      [],
    );
  });

  it('stay in the table of this process, where somebody else decides about them', async () => {
    assert.deepEqual(await left({ here: {}, elsewhere: { table: 100 } }, { table: 198 }), ['here']);
  });

  it('stay when they are not ours by every sign', async () => {
    const others: Readonly<Record<string, Partial<Route>>> = {
      'of another address': { destination: { address: ip('10.0.0.8'), length: 32 } },
      'to a network': { destination: { address: ip('10.0.0.0'), length: 24 }, table: 100 },
      'of another protocol': { protocol: 99, table: 101 },
      'over a gateway': { table: 102, nextHops: [{ gateway: ip('10.0.0.2'), ifindex: 2, weight: 1 }] },
    };
    assert.deepEqual(await left(others), Object.keys(others));
  });

  it('stay when the protocol is one of the kernel or of administrators', async () => {
    assert.deepEqual(await left({ static: { protocol: 4 } }, { protocol: 4 }), ['static']);
  });
});
