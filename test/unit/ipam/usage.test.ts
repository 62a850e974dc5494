import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Claims, type Claim } from '../../../src/ipam/index.ts';
import { UsageMeter } from '../../../src/ipam/usage.ts';
import { ip } from '../../../src/lib/ip.ts';
import { runs } from '../../../src/testing/runs.ts';

const claim = (service: string, ...addresses: readonly string[]): Claim => {
  return { service, addresses: addresses.map(ip), ports: [] };
};

test('pool usage follows grants, deletions and the ConfigMap, and is not counted again while nothing changes', () => {
  const data = { 'cidr-a': '10.0.0.0/29,fd00::/64', 'range-b': 'fd00::5-fd00::9', 'cidr-dhcp': '0.0.0.0/32' };
  const meter = new UsageMeter();
  const claims = new Claims();
  const used = (from = data): readonly string[] =>
    meter.read(from, claims).map((each) => `${each.pool} ${each.family} ${each.used}`);
  claims.add(claim('ns/x', '10.0.0.0', '10.0.0.1', 'fd00::5'));
  claims.add(claim('ns/y', '10.0.0.1', 'fd00::6', 'fd01::1'));
  assert.deepEqual(used(), ['cidr-a 4 1', 'cidr-a 6 2', 'range-b 6 2']);
  assert.equal(meter.read(data, claims), meter.read(data, claims));
  claims.remove(claim('ns/y', '10.0.0.1', 'fd00::6', 'fd01::1'));
  assert.deepEqual(used(), ['cidr-a 4 1', 'cidr-a 6 1', 'range-b 6 1']);
  assert.deepEqual(used({ ...data, 'range-b': 'fd00::6-fd00::9' }), [
    'cidr-a 4 1',
    'cidr-a 6 1',
    'range-b 6 0',
  ]);
});

test('the IPv6 addresses in use are counted as a plain count would', () => {
  const step = fc.record({ n: fc.nat(30), drop: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(30), fc.nat(30), (steps, from, to) => {
      const claims = new Claims();
      const model = new Set<number>();
      for (const { n, drop } of steps) {
        if (drop ? model.delete(n) : false) claims.remove(claim(`ns/s${n}`, `fd00::${n}`));
        if (!drop && !model.has(n)) {
          claims.add(claim(`ns/s${n}`, `fd00::${n}`));
          model.add(n);
        }
      }
      const value = (n: number): bigint => (0xfd00n << 112n) + BigInt(`0x${n}`);
      const [first, last] = [Math.min(from, to), Math.max(from, to)];
      const wanted = [...model].filter((n) => first <= n && n <= last).length;
      assert.equal(claims.count6(value(first), value(last)), wanted);
    }),
    { numRuns: runs(500) },
  );
});
