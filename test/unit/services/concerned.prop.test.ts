import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { Address, KernelEvent, Link } from '../../../src/linux/types.ts';
import { Catalogue } from '../../../src/services/catalogue.ts';
import { concernedBy } from '../../../src/services/concerned.ts';
import { LocalLinks } from '../../../src/services/local-links.ts';
import { placeVip, type LocalChange } from '../../../src/services/placement.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { runs } from '../../../src/testing/runs.ts';
import { defaults } from './scene.ts';

const names = ['eth0', 'eth1', 'veth1'] as const;
const vips = ['192.0.2.1', '192.0.2.130', '198.51.100.1', '2001:db8::1'] as const;

const link = fc.record({
  index: fc.integer({ min: 1, max: 3 }),
  name: fc.constantFrom(...names),
  mac: fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02'),
});
const address = fc.record({
  ifindex: fc.integer({ min: 1, max: 3 }),
  own: fc.constantFrom(
    ['192.0.2.10', 24],
    ['192.0.2.140', 25],
    ['192.0.2.1', 32],
    ['198.51.100.1', 24],
    ['2001:db8::10', 64],
    ['2001:db8::1', 128],
  ),
  deprecated: fc.constantFrom(false, false, false, true),
});
const event: fc.Arbitrary<KernelEvent> = fc
  .record({ change: fc.constantFrom('set', 'set', 'gone'), link, address, isLink: fc.boolean() })
  .map(({ change, link, address: { ifindex, own, deprecated }, isLink }): KernelEvent => {
    if (isLink) return { kind: 'link', change, link: link as unknown as Link };
    const [text, prefixLength] = own as [string, number];
    const one = { ifindex, address: ip(text), prefixLength, deprecated } as unknown as Address;
    return { kind: 'address', change, address: one };
  });
const service = fc.record({
  vips: fc.subarray([...vips], { minLength: 1 }),
  asked: fc.constantFrom('', '', 'auto', ...names),
});
const config = fc.record({
  servicesLink: fc.constantFrom('', 'auto', 'eth1'),
  mainLink: fc.constantFrom('eth0', 'eth1'),
  prefix4: fc.constantFrom(32, 'auto' as const),
  prefix6: fc.constantFrom(128, 'auto' as const),
});

interface Wanted {
  readonly vips: readonly string[];
  readonly asked: string;
}

function catalogueOf(
  options: ConstructorParameters<typeof Catalogue>[0],
  wanted: readonly Wanted[],
): Catalogue {
  const catalogue = new Catalogue(options);
  wanted.forEach(({ vips: addresses, asked }, i) => {
    const annotations = {
      'kube-vip.io/loadbalancerIPs': addresses.join(),
      ...(asked === '' ? {} : { 'kube-vip.io/serviceInterface': asked }),
    };
    catalogue.put(`test/s${i}`, {
      metadata: { namespace: 'test', name: `s${i}`, uid: `u${i}`, annotations },
      spec: { type: 'LoadBalancer' },
    });
  });
  return catalogue;
}

test('a Pod that starts, with a link and an address of its own, concerns no Service', () => {
  const pod = { links: ['veth7'], addresses: [{ address: ip('10.244.0.1'), prefixLength: 24 }] };
  const wanted = { vips: ['192.0.2.1'], asked: '' };
  for (const choices of [{}, { servicesLink: 'auto' }, { prefix4: 'auto' as const }]) {
    const options = { ...defaults, node: 'a', ...choices };
    const catalogue = catalogueOf(options, [
      wanted,
      { ...wanted, asked: 'auto' },
      { ...wanted, asked: 'eth1' },
    ]);
    assert.deepEqual([...concernedBy(pod, catalogue, options)], []);
    assert.equal([...concernedBy({ ...pod, links: ['eth0'] }, catalogue, options)].length, 3);
  }
});

test('a change of links and own addresses concerns every Service that has another place by it', async () => {
  await fc.assert(
    fc.asyncProperty(
      config,
      fc.array(service, { maxLength: 4 }),
      fc.array(event, { minLength: 1, maxLength: 12 }),
      async (choices, wanted, events) => {
        const options = { ...defaults, node: 'a', ...choices };
        let hear: (event: KernelEvent) => void = () => undefined;
        const kernel = {
          links: () => Promise.resolve([]),
          addresses: () => Promise.resolve([]),
          watch: (_: unknown, on: (event: KernelEvent) => void) => {
            hear = on;
            return { close: () => undefined };
          },
        };
        const local = new LocalLinks({ kernel, clock: new FakeClock(), random: () => 1, log: silentLogger });
        let told: (LocalChange | undefined)[] = [];
        await local.start((change) => told.push(change), new AbortController().signal);
        const catalogue = catalogueOf(options, wanted);
        const places = (): ReadonlyMap<string, string> =>
          new Map(
            [...catalogue.keys()].map((key) => {
              const claim = catalogue.get(key)?.claim;
              assert.ok(claim?.kind === 'claim');
              const placed = claim.addresses.map((vip) =>
                placeVip(vip, catalogue.linkFor(vip), options, local),
              );
              return [key, JSON.stringify(placed)];
            }),
          );
        let before = places();
        for (const next of events) {
          told = [];
          hear(next);
          const after = places();
          const concerned = new Set(told.flatMap((change) => [...concernedBy(change, catalogue, options)]));
          for (const [key, placed] of after)
            if (placed !== before.get(key))
              assert.ok(concerned.has(key), `${key}: ${before.get(key)} → ${placed}`);
          before = after;
        }
      },
    ),
    { numRuns: runs(500) },
  );
});
