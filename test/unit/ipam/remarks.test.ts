import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configProblems } from '../../../src/ipam/config-problems.ts';
import { findPool } from '../../../src/ipam/pools.ts';
import { nodes } from '../../../src/kube/index.ts';
import { eventually } from '../kube/fixture.ts';
import { scene } from './scene.ts';

const annotation = 'kube-vip.io/loadbalancerIPs';
const finalizer = 'service.kubernetes.io/load-balancer-cleanup';

test('an edited spec.loadBalancerIP that the annotation overrules is told, and nothing is moved', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.9' });
  s.service('shop/web');
  s.start();
  await s.has('shop/web', '192.0.2.1');
  await s.edit('shop/web', { spec: { loadBalancerIP: '192.0.2.7' } });
  await s.told('web', /^AddressNotChanged: spec\.loadBalancerIP "192\.0\.2\.7" is not used.*"192\.0\.2\.1"/);
  assert.equal(s.addressOf('shop/web'), '192.0.2.1');
  // Without the annotation the other counts.
  await s.edit('shop/web', { metadata: { annotations: { [annotation]: null } } });
  await s.has('shop/web', '192.0.2.7');
});

test('a Service that must have both families now, but has addresses of one, is told', async (t) => {
  const s = await scene(t);
  s.pools({ 'cidr-global': '192.0.2.0/29,2001:db8::/120' });
  s.service('shop/web', { spec: { ipFamilies: ['IPv4'] } });
  s.start();
  await s.has('shop/web', '192.0.2.1');
  const both = { ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' };
  await s.edit('shop/web', { spec: both });
  await s.told('web', /^NoAddressOfFamily: RequireDualStack, but .* has no IPv6 address/);
  await s.edit('shop/web', {
    metadata: { annotations: { [annotation]: null } },
    spec: { loadBalancerIP: null },
  });
  await s.has('shop/web', '192.0.2.1,2001:db8::');
});

test('two that were refused the same address: one of them has it when it is free, in the status of both or not', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.4' });
  s.service('shop/first', { annotations: { [annotation]: '192.0.2.3' } });
  s.start();
  await eventually('the label', () => s.read('shop/first')?.metadata.labels !== undefined);
  for (const name of ['one', 'two']) {
    s.service(`shop/${name}`, { annotations: { [annotation]: '192.0.2.3' } });
    await s.told(name, /^AddressRefused: asks for what another has/);
    // A speaker does not ask us.
    await s.setStatus(`shop/${name}`, '192.0.2.3');
  }
  const labelled = (): readonly string[] =>
    ['one', 'two'].filter(
      (name) => s.read(`shop/${name}`)?.metadata.labels?.['implementation'] !== undefined,
    );
  s.remove('shop/first');
  await eventually('one of them has it', () => labelled().length === 1);
  await s.told('two', /192\.0\.2\.3 is used by Service shop\/one/);
  assert.deepEqual(labelled(), ['one']);
});

test('what a Node lists beside its own address is given to nobody, and refused to nobody who names it', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.3' });
  s.node('node-b', '192.0.2.1', '192.0.2.2');
  s.start();
  s.service('shop/web');
  await s.has('shop/web', '192.0.2.3');
  // A cloud's controller lists the VIPs that a node carries.
  s.service('shop/vip', { annotations: { [annotation]: '192.0.2.2' } });
  await eventually('the label', () => s.read('shop/vip')?.metadata.labels !== undefined);
  s.service('shop/own', { annotations: { [annotation]: '192.0.2.1' } });
  await s.told('own', /^AddressRefused: .*192\.0\.2\.1 is an address of Node node-b$/);
  assert.deepEqual(await s.eventsOf('vip'), []);
  s.service('shop/next');
  await s.told('next', /^AddressPoolExhausted/);
  s.remove('shop/vip');
  s.api.remove(nodes, { name: 'node-b' });
  s.node('node-b', '192.0.2.1');
  await s.has('shop/next', '192.0.2.2');
});

test('IPAM-17 of two that ask for the same address in the same moment one has it', async (t) => {
  const s = await scene(t);
  for (const name of ['one', 'two'])
    s.service(`shop/${name}`, { annotations: { [annotation]: '192.0.2.3' } });
  s.start();
  await s.told('two', /^AddressRefused: .*192\.0\.2\.3 is used by Service shop\/one/);
  await eventually('the label of one', () => s.read('shop/one')?.metadata.labels !== undefined);
  assert.equal(s.read('shop/two')?.metadata.labels, undefined);
});

test('the address of a Service whose type is changed is kept for its return', async (t) => {
  const s = await scene(t, { addFinalizer: false });
  s.pools({ 'range-global': '192.0.2.1-192.0.2.2' });
  s.service('shop/web');
  s.start();
  await s.has('shop/web', '192.0.2.1');
  await s.edit('shop/web', { spec: { type: 'ClusterIP' } });
  s.service('shop/next');
  await s.has('shop/next', '192.0.2.2');
  await s.edit('shop/web', { spec: { type: 'LoadBalancer' } });
  s.remove('shop/next');
  s.service('shop/third');
  await s.has('shop/third', '192.0.2.2');
  assert.deepEqual((await s.eventsOf('web')).length, 1);
});

test('IPAM-13 a Service of ours that is deleted goes, with our label or without it', async (t) => {
  const s = await scene(t);
  s.service('shop/web', { spec: { loadBalancerIP: '192.0.2.3' }, finalizers: [finalizer] });
  s.remove('shop/web');
  s.service('shop/foreign', { spec: { loadBalancerClass: 'example.com/other' }, finalizers: [finalizer] });
  s.remove('shop/foreign');
  assert.ok(s.read('shop/web') !== undefined, 'the finalizer holds it');
  s.start();
  await eventually('it is gone', () => s.read('shop/web') === undefined);
  assert.deepEqual(s.read('shop/foreign')?.metadata.finalizers, [finalizer]);
});

test('keys that mean nothing are named once, together; keys of a namespace called global are named once each', () => {
  const problems = configProblems({
    'cidr-shop': '192.0.2.0/29',
    'allow-share-shop': 'true',
    'interface-shop': 'eth0',
    'search-order': 'desc',
    'Cidr-shop': '192.0.2.0/29',
    'cidr-': '192.0.2.0/29',
    pools: 'x',
  });
  assert.deepEqual(problems, ['keys that mean nothing here: Cidr-shop, cidr-, pools']);
  const found = findPool({}, 'global');
  assert.ok('problem' in found);
  assert.match(found.problem.message, /set one of cidr-global, range-global$/);
});

test('IPAM-07 what is wrong with a pool is told with key, value and what to write instead', () => {
  const told = (key: string, value: string): string => configProblems({ [key]: value }).join();
  const words: readonly (readonly [key: string, value: string, what: RegExp])[] = [
    [
      'cidr-a',
      '10.0.0.0/30;fd00::/64',
      /^cidr-a: "10.0.0.0\/30;fd00::\/64" is not .*; commas separate items$/,
    ],
    ['cidr-a', '10.0.0.0/30,', /^cidr-a: a comma too many/],
    ['cidr-a', '10.0.0.0/30,10.0.0.9', /"10.0.0.9" is one address: write 10.0.0.9\/32$/],
    ['range-a', 'fd00::1', /"fd00::1" is one address: write fd00::1-fd00::1$/],
    ['cidr-a', '10.0.0.0/30,10.0.1.1-10.0.1.9', /^cidr-a: "10.0.1.1-10.0.1.9" .* write it as CIDRs, too$/],
    ['range-a', '10.0.1.9-10.0.1.1', /^range-a: "10.0.1.9-10.0.1.1" is not .* the lower one first; commas/],
    ['cidr-a', '10.0.0.255/32', /^cidr-a: 10.0.0.255\/32 has only addresses that end in .0 or .255/],
    ['cidr-a', '0.0.0.0/0', /^cidr-a: 255.255.255.255 is the broadcast address; Services that are given/],
    ['range-a', '126.0.0.1-127.0.0.9', /^range-a: 127.0.0.9 is a loopback address/],
    ['cidr-a', '::ffff:10.0.0.0/120', /^cidr-a: .* in IPv6 clothes/],
    ['cidr-a', '0.0.0.0/32', /^$/],
    ['cidr-a', '10.0.0.0/30, fd00::/64', /^$/],
  ];
  for (const [key, value, what] of words) assert.match(told(key, value), what);
});

test('IPAM-18 addresses outside the pools are told in one Event, however many they are', async (t) => {
  const s = await scene(t);
  s.pools({ 'cidr-shop': '192.0.2.0/28' });
  s.start();
  const many = Array.from({ length: 40 }, (_, n) => `198.51.100.${n}`).join(',');
  s.service('shop/web', { annotations: { [annotation]: `192.0.2.3,${many}` } });
  await s.told(
    'web',
    /^AddressOutsidePools: 198\.51\.100\.0, .{0,90}… are not in cidr-shop .*they were chosen by hand$/,
  );
  await eventually('the label', () => s.read('shop/web')?.metadata.labels !== undefined);
  assert.equal((await s.eventsOf('web')).length, 1);
});

test('what messages show of a long pool or address is short', async (t) => {
  const s = await scene(t);
  s.pools({ 'cidr-shop': Array.from({ length: 500 }, () => '192.0.2.1/32').join(',') });
  s.start();
  s.service('shop/one');
  await s.has('shop/one', '192.0.2.1');
  s.service('shop/two');
  s.service('shop/odd', { annotations: { [annotation]: `x!${'y'.repeat(5000)}` } });
  await s.told('two', /^AddressPoolExhausted: .{0,160}…\)$/);
  await s.told('odd', /^MalformedAddress: .{0,160}…" is neither/);
});
