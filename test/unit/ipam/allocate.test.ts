import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  allocate,
  checkRequested,
  Claims,
  findPool,
  type AddressRequest,
  type Claim,
  type Pool,
} from '../../../src/ipam/index.ts';
import { ip, type Ip } from '../../../src/lib/ip.ts';
import { runs } from '../../../src/testing/runs.ts';

function poolOf(data: Record<string, string>, namespace = 'ns'): Pool {
  const found = findPool(data, namespace);
  assert.ok('pool' in found, 'problem' in found ? found.problem.message : '');
  return found.pool;
}

function ask(over: Partial<AddressRequest> = {}): AddressRequest {
  return {
    service: 'ns/web',
    ports: [{ protocol: 'TCP', port: 80 }],
    families: [4],
    policy: 'SingleStack',
    ...over,
  };
}

function given(pool: Pool, claims: Claims, request: AddressRequest): string {
  const result = allocate(pool, claims, request);
  return 'problem' in result ? result.problem.reason : result.addresses.join(',');
}

/** Every address a pool gives out before it is exhausted. */
function drain(pool: Pool, family: 4 | 6 = 4): string[] {
  const claims = new Claims();
  const out: string[] = [];
  for (let n = 0; n < 300; n++) {
    const result = allocate(pool, claims, ask({ service: `ns/s${n}`, families: [family] }));
    if ('problem' in result) break;
    out.push(...result.addresses);
    claims.add({ service: `ns/s${n}`, addresses: result.addresses, ports: [] });
  }
  return out;
}

test('IPAM-01 look-up order: cidr of the namespace, cidr-global, range of the namespace, range-global', () => {
  const all = {
    'cidr-ns': '10.0.0.1/32',
    'cidr-global': '10.0.1.1/32',
    'range-ns': '10.0.2.1-10.0.2.1',
    'range-global': '10.0.3.1-10.0.3.1',
  };
  const order = ['cidr-ns', 'cidr-global', 'range-ns', 'range-global'] as const;
  for (const [at, key] of order.entries()) {
    const left = Object.fromEntries(order.slice(at).map((each) => [each, all[each]]));
    assert.equal(poolOf(left).key, key);
  }
  const none = findPool({}, 'ns');
  assert.ok('problem' in none && none.problem.reason === 'no-pool');
  const empty = findPool({ 'cidr-ns': '' }, 'ns');
  assert.ok('problem' in empty && empty.problem.reason === 'empty-pool');
});

test('IPAM-02 lists of CIDRs and ranges merge, families may mix', () => {
  assert.deepEqual(drain(poolOf({ 'range-ns': '192.168.0.10-192.168.0.11,192.168.0.10-192.168.0.13' })), [
    '192.168.0.10',
    '192.168.0.11',
    '192.168.0.12',
    '192.168.0.13',
  ]);
  assert.equal(drain(poolOf({ 'cidr-ns': '192.168.0.200/30,192.168.0.200/29' })).length, 8);
  assert.deepEqual(drain(poolOf({ 'cidr-ns': '10.0.0.1/32,fe80::10/126,fe80::12/127' }), 6), [
    'fe80::10',
    'fe80::11',
    'fe80::12',
    'fe80::13',
  ]);
  assert.equal(drain(poolOf({ 'range-ns': 'fe80::ffff-fe80::1:3' }), 6).length, 5);
  for (const text of ['10.0.0.1-10.0.0.2-10.0.0.3', '10.0.0.2-10.0.0.1', 'x-y', '10.0.0.1-fe80::1']) {
    const bad = findPool({ 'range-ns': text }, 'ns');
    assert.ok('problem' in bad && bad.problem.message.includes('range-ns'), text);
  }
});

test('IPAM-03 .0 and .255 are skipped; skip-end-ips-in-cidr drops the ends of prefixes but of /31 and /32', () => {
  assert.deepEqual(drain(poolOf({ 'range-ns': '192.168.0.253-192.168.1.2' })), [
    '192.168.0.253',
    '192.168.0.254',
    '192.168.1.1',
    '192.168.1.2',
  ]);
  const skip = { 'skip-end-ips-in-cidr': 'true' };
  assert.deepEqual(drain(poolOf({ 'cidr-ns': '192.168.0.200/30', ...skip })), [
    '192.168.0.201',
    '192.168.0.202',
  ]);
  assert.equal(drain(poolOf({ 'cidr-ns': '192.168.0.200/31', ...skip })).length, 2);
  assert.equal(drain(poolOf({ 'cidr-ns': '192.168.0.200/32', ...skip })).length, 1);
  assert.equal(drain(poolOf({ 'cidr-ns': '192.168.0.200/30,192.168.0.200/29', ...skip })).length, 6);
});

test('IPAM-04 search-order desc gives the last free address first', () => {
  const pool = { 'cidr-ns': '192.168.0.10/24' };
  assert.equal(given(poolOf(pool), new Claims(), ask()), '192.168.0.1');
  assert.equal(given(poolOf({ ...pool, 'search-order': 'desc' }), new Claims(), ask()), '192.168.0.254');
});

test('IPAM-05 0.0.0.0/32 alone marks a DHCP pool', () => {
  assert.equal(poolOf({ 'cidr-ns': '0.0.0.0/32' }).dhcp, true);
  assert.equal(poolOf({ 'cidr-ns': '10.0.0.0/32' }).dhcp, false);
});

test('IPAM-06 single, preferred and required dual stack, ordered by the first family', () => {
  const dual = poolOf({ 'cidr-ns': '10.10.10.8/32,fd00::1/128' });
  const four = poolOf({ 'cidr-ns': '10.10.10.8/32' });
  const none = new Claims();
  assert.equal(given(dual, none, ask({ policy: 'PreferDualStack', families: [] })), '10.10.10.8,fd00::1');
  assert.equal(given(dual, none, ask({ policy: 'PreferDualStack', families: [6] })), 'fd00::1,10.10.10.8');
  assert.equal(given(four, none, ask({ policy: 'PreferDualStack', families: [6, 4] })), '10.10.10.8');
  assert.equal(
    given(four, none, ask({ policy: 'RequireDualStack', families: [4, 6] })),
    'both-families-needed',
  );
  assert.equal(given(four, none, ask({ families: [6] })), 'family-missing');
  assert.equal(given(dual, none, ask({ families: [] })), '10.10.10.8');
});

test('IPAM-07 an exhausted pool is an error with the pool named, never an empty address', () => {
  const dual = poolOf({ 'cidr-ns': '10.10.10.8/32,fd00::1/128' });
  const four = poolOf({ 'cidr-ns': '10.10.10.8/32' });
  const used = new Claims([{ service: 'ns/a', addresses: [ip('10.10.10.8')], ports: [] }]);
  assert.equal(given(dual, used, ask({ policy: 'PreferDualStack' })), 'fd00::1');
  assert.equal(given(dual, used, ask({ policy: 'RequireDualStack' })), 'exhausted');
  const result = allocate(four, used, ask({ policy: 'PreferDualStack' }));
  assert.ok('problem' in result);
  assert.match(result.problem.message, /ns\/web: no free IPv4 address in cidr-ns \(cidr 10\.10\.10\.8\/32\)/);
});

test('IPAM-10 allow-share packs Services on one address by port and protocol', () => {
  const pool = poolOf({ 'range-ns': '10.0.0.2-10.0.0.3', 'allow-share-ns': 'true' });
  const claims = new Claims();
  const take = (service: string, protocol: string, port: number): string => {
    const request = ask({ service, ports: [{ protocol, port }] });
    const result = allocate(pool, claims, request);
    if ('problem' in result) return result.problem.reason;
    claims.add({ service, addresses: result.addresses, ports: request.ports });
    return result.addresses.join(',');
  };
  assert.equal(take('ns/ntp', 'UDP', 123), '10.0.0.2');
  assert.equal(take('ns/a', 'TCP', 345), '10.0.0.2');
  assert.equal(take('ns/b', 'SCTP', 1234), '10.0.0.2');
  assert.equal(take('ns/c', 'TCP', 80), '10.0.0.2');
  assert.equal(take('ns/d', 'UDP', 80), '10.0.0.2');
  assert.equal(take('ns/e', 'TCP', 80), '10.0.0.3');
  assert.equal(take('ns/f', 'TCP', 80), 'exhausted');
});

test('IPAM-03 IPAM-10 an address that ends in .0 or .255 is shared with nobody, although somebody chose it', () => {
  const pool = poolOf({ 'cidr-ns': '10.0.0.0/30', 'allow-share-ns': 'true' });
  const ports = [{ protocol: 'TCP', port: 443 }];
  const claims = new Claims([{ service: 'ns/byHand', addresses: [ip('10.0.0.0')], ports }]);
  assert.equal(given(pool, claims, ask()), '10.0.0.1');
});

test('a requested address is refused with the name of who has it', () => {
  const claims = new Claims([
    { service: 'ns/db', addresses: [ip('10.0.0.9')], ports: [{ protocol: 'TCP', port: 80 }] },
  ]);
  assert.equal(checkRequested(claims, ask(), [ip('10.0.0.8')]), undefined);
  assert.equal(
    checkRequested(claims, ask({ ports: [{ protocol: 'UDP', port: 80 }] }), [ip('10.0.0.9')]),
    undefined,
  );
  assert.match(
    checkRequested(claims, ask(), [ip('10.0.0.9')])?.message ?? '',
    /10\.0\.0\.9 is used by Service ns\/db \(TCP\/80\)/,
  );
});

test('IPAM-11 any sequence of grants and deletions: no address twice, none leaked, the same after a restart', () => {
  const action = fc.record({
    service: fc.integer({ min: 0, max: 12 }),
    port: fc.integer({ min: 1, max: 3 }),
    drop: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), fc.boolean(), (actions, share) => {
      const pool = poolOf({ 'range-ns': '10.0.0.1-10.0.0.6', 'allow-share-ns': String(share) });
      const model = new Map<string, Claim>();
      let claims = new Claims();
      for (const { service: n, port, drop } of actions) {
        const service = `ns/s${n}`;
        const held = model.get(service);
        if (held !== undefined) {
          if (!drop) continue;
          claims.remove(held);
          model.delete(service);
          continue;
        }
        const request = ask({ service, ports: [{ protocol: 'TCP', port }] });
        const result = allocate(pool, claims, request);
        // A restart rebuilds the claims from what is written on the Services and decides the same.
        const rebuilt = new Claims(model.values());
        assert.deepEqual(allocate(pool, rebuilt, request), result);
        claims = rebuilt;
        if ('problem' in result) {
          assert.ok(everyAddressTaken(pool, model, request, share));
          continue;
        }
        const claim = { service, addresses: result.addresses, ports: request.ports };
        for (const other of model.values()) assert.ok(!clash(claim, other, share));
        model.set(service, claim);
        claims.add(claim);
      }
    }),
    { numRuns: runs(10_000) },
  );
});

function clash(a: Claim, b: Claim, share: boolean): boolean {
  const same = a.addresses.some((address) => b.addresses.includes(address));
  return (
    same &&
    (!share || a.ports.some((x) => b.ports.some((y) => x.port === y.port && x.protocol === y.protocol)))
  );
}

/** The reference model: every address of the pool clashes with somebody. */
function everyAddressTaken(
  pool: Pool,
  model: Map<string, Claim>,
  request: AddressRequest,
  share: boolean,
): boolean {
  const all: Ip[] = [1, 2, 3, 4, 5, 6].map((n) => ip(`10.0.0.${n}`));
  assert.equal(pool.ranges.length, 1);
  return all.every((address) =>
    [...model.values()].some((other) =>
      clash({ service: request.service, addresses: [address], ports: request.ports }, other, share),
    ),
  );
}
