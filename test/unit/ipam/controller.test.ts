import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configMaps } from '../../../src/kube/index.ts';
import { eventually } from '../kube/fixture.ts';
import { scene, settings } from './scene.ts';

const annotation = 'kube-vip.io/loadbalancerIPs';
const finalizer = 'service.kubernetes.io/load-balancer-cleanup';

test('IPAM-08 label, annotation, address and interface come in one update, and nothing else is touched', async (t) => {
  const s = await scene(t);
  s.pools({ 'cidr-shop': '192.0.2.8/29', 'interface-shop': 'eth7' });
  s.service('shop/web', { annotations: { mine: 'stays' }, labels: { 'ipam-address': 'old', app: 'web' } });
  s.start();
  await s.has('shop/web', '192.0.2.8');
  const { metadata, spec } = s.read('shop/web') ?? assert.fail();
  assert.deepEqual(metadata.labels, { app: 'web', implementation: 'kube-vip' });
  assert.deepEqual(metadata.annotations, {
    mine: 'stays',
    [annotation]: '192.0.2.8',
    'kube-vip.io/serviceInterface': 'eth7',
  });
  assert.deepEqual(metadata.finalizers, [finalizer]);
  assert.deepEqual(spec, {
    type: 'LoadBalancer',
    sessionAffinity: 'None',
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    ports: [{ name: 'main', port: 80, protocol: 'TCP', targetPort: 8080 }],
    loadBalancerIP: '192.0.2.8',
  });
  s.service('shop/next');
  await s.has('shop/next', '192.0.2.9');
  assert.equal(s.updates().length, 2);
});

test('IPAM-09 an address chosen by hand stays, is labelled, and is given to nobody else', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.4' });
  s.service('shop/a', { annotations: { [annotation]: '192.0.2.1' } });
  s.service('shop/b', { spec: { loadBalancerIP: '192.0.2.2' }, labels: { 'ipam-address': 'x' } });
  s.service('shop/c', { annotations: { [annotation]: '' }, spec: { loadBalancerIP: '192.0.2.3' } });
  // Decided first, by its name.
  s.service('shop/0');
  s.start();
  await s.has('shop/0', '192.0.2.4');
  await s.has('shop/b', '192.0.2.2');
  await s.has('shop/c', '192.0.2.3');
  assert.equal(s.addressOf('shop/a'), '192.0.2.1');
  for (const name of ['a', 'b', 'c'])
    await eventually(`the label of ${name}`, () => {
      const labels = s.read(`shop/${name}`)?.metadata.labels ?? {};
      return labels['implementation'] === 'kube-vip' && labels['ipam-address'] === undefined;
    });
  assert.equal(s.read('shop/a')?.spec.loadBalancerIP, undefined);
});

test('IPAM-09 an address asked for that another has is refused with an Event, and granted when it is free', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.4' });
  s.service('shop/first', { annotations: { [annotation]: '192.0.2.3' } });
  s.start();
  await eventually('the label', () => s.read('shop/first')?.metadata.labels !== undefined);
  s.service('shop/late', { spec: { loadBalancerIP: '192.0.2.3' } });
  s.service('shop/other-port', { spec: { loadBalancerIP: '192.0.2.3' }, port: 443 });
  await s.told('late', /^AddressRefused: .*192\.0\.2\.3 is used by Service shop\/first \(TCP\/80\)/);
  await s.has('shop/other-port', '192.0.2.3');
  assert.equal(s.addressOf('shop/late'), '');
  s.remove('shop/first');
  await s.has('shop/late', '192.0.2.3');
});

test('IPAM-12 a malformed Service, annotation or pool stops nobody else, and is named', async (t) => {
  const s = await scene(t);
  s.pools({
    'cidr-shop': '192.0.2.0/29',
    'cidr-broken': '192.0.2.0/29,10.0.0.300/24',
    'range-upside': '10.0.0.9-10.0.0.1',
    'range-empty': '',
    'allow-share-shop': 'perhaps',
  });
  s.service('shop/bad', { annotations: { [annotation]: '192.0.2.1, 10.0.0.300' } });
  s.service('shop/odd', { annotations: { [annotation]: ' , ' }, spec: { ports: 7, ipFamilies: 'x' } });
  s.service('shop/spec', { spec: { loadBalancerIP: 'not an address' } });
  s.service('broken/web');
  s.service('upside/web2');
  s.service('empty/web3');
  s.service('nowhere/web4');
  s.service('shop/web5', { annotations: { [annotation]: 'lb.example.com' } });
  s.start();
  s.service('shop/good');
  await s.has('shop/good', '192.0.2.2');
  await s.told('bad', /^MalformedAddress: annotation kube-vip\.io\/loadbalancerIPs: "10\.0\.0\.300"/);
  await s.told('odd', /^MalformedAddress: annotation kube-vip\.io\/loadbalancerIPs/);
  await s.told('spec', /^MalformedAddress: spec\.loadBalancerIP: "not an address"/);
  await s.told(
    'web',
    /^MalformedAddressPool: cidr-broken: "10\.0\.0\.300\/24" .*ConfigMap kube-system\/kubevip/,
  );
  await s.told('web2', /^MalformedAddressPool: range-upside: "10\.0\.0\.9-10\.0\.0\.1"/);
  await s.told('web3', /^EmptyAddressPool: range-empty is empty/);
  await s.told('web4', /^NoAddressPool: no address pool for namespace nowhere/);
  await s.told('kubevip', /^MalformedAddressPool: cidr-broken/);
  await eventually(
    'the host name is nothing wrong',
    () => s.read('shop/web5')?.metadata.labels !== undefined,
  );
  assert.ok(s.log.lines.some((line) => /^warn cidr-broken: "10\.0\.0\.300\/24"/.test(line)));
  await s.told('kubevip', /^MalformedAddressPool: allow-share-shop: "perhaps" is none of 1, t,/);
  assert.deepEqual(s.ipam.status().problems.length, 4);
});

test('IPAM-13 without class mode: Services without a class; foreign and ignored ones are left alone', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.9' });
  s.service('shop/foreign', {
    spec: { loadBalancerClass: 'example.com/other' },
    finalizers: [finalizer],
  });
  await s.setStatus('shop/foreign', '192.0.2.1');
  s.service('shop/ignored', { annotations: { 'kube-vip.io/ignore': 'true' } });
  s.service('shop/cluster', { spec: { type: 'ClusterIP' }, finalizers: [finalizer] });
  s.service('shop/web');
  s.start();
  await s.has('shop/web', '192.0.2.2');
  assert.deepEqual(s.updates(), ['/api/v1/namespaces/shop/services/web']);
  s.remove('shop/foreign');
  s.service('shop/next');
  await s.has('shop/next', '192.0.2.3');
  assert.deepEqual(s.read('shop/foreign')?.metadata.finalizers, [finalizer]);
});

test('IPAM-13 class mode takes the one class, and only that', async (t) => {
  const s = await scene(t, { className: 'example.com/mine', withoutClass: false });
  s.pools({ 'range-global': '192.0.2.1-192.0.2.9' });
  s.service('shop/none');
  s.service('shop/usual', { spec: { loadBalancerClass: 'kube-vip.io/kube-vip-class' } });
  s.service('shop/mine', { spec: { loadBalancerClass: 'example.com/mine' } });
  s.start();
  await s.has('shop/mine', '192.0.2.1');
  assert.equal(s.updates().length, 1);
});

test('IPAM-13 controllers for two classes leave one another alone', async (t) => {
  const s = await scene(t, { className: 'example.com/a', withoutClass: false });
  s.pools({ 'range-global': '192.0.2.1-192.0.2.9' });
  const other = await scene(t, { className: 'example.com/b', withoutClass: false }, s.api);
  s.start();
  other.start();
  s.service('shop/a', { spec: { loadBalancerClass: 'example.com/a' } });
  await s.has('shop/a', '192.0.2.1');
  s.service('shop/b', { spec: { loadBalancerClass: 'example.com/b' } });
  await s.has('shop/b', '192.0.2.2');
  // Each hears of what the other did to this one before it hears of the next one of its own.
  s.service('shop/a2', { spec: { loadBalancerClass: 'example.com/a' } });
  s.service('shop/b2', { spec: { loadBalancerClass: 'example.com/b' } });
  await eventually('both have theirs', () => s.addressOf('shop/a2') !== '' && s.addressOf('shop/b2') !== '');
  assert.equal(s.updates().length, 4);
  for (const name of ['a', 'b', 'a2', 'b2'])
    assert.deepEqual(s.read(`shop/${name}`)?.metadata.finalizers, [finalizer], name);
});

test('IPAM-13 the finalizer holds a deleted Service until it is seen, and nobody whose type was changed', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.1' });
  s.service('shop/web');
  s.start();
  await s.has('shop/web', '192.0.2.1');
  s.remove('shop/web');
  await eventually('it is gone', () => s.read('shop/web') === undefined);
  s.service('shop/second');
  await s.has('shop/second', '192.0.2.1');
  const { metadata } = s.read('shop/second') ?? assert.fail();
  s.service('shop/second', {
    annotations: metadata.annotations ?? {},
    labels: metadata.labels ?? {},
    finalizers: [finalizer, 'example.com/theirs'],
    spec: { type: 'ClusterIP' },
  });
  await eventually('it is let go', () => s.read('shop/second')?.metadata.finalizers?.length === 1);
  s.service('shop/third');
  await s.told('third', /^AddressPoolExhausted/);
  // It would have come back with an address of another.
  await s.edit('shop/second', { spec: { type: 'LoadBalancer' } });
  await eventually('it is held again', () => s.read('shop/second')?.metadata.finalizers?.length === 2);
  await s.edit('shop/second', {
    metadata: { annotations: { [annotation]: null } },
    spec: { type: 'ClusterIP', loadBalancerIP: null },
  });
  await s.has('shop/third', '192.0.2.1');
});

test('IPAM-13 the manager adds no finalizer but takes off what a cloud controller left', async (t) => {
  const s = await scene(t, { addFinalizer: false });
  s.pools({ 'range-global': '192.0.2.1-192.0.2.4' });
  s.service('shop/web');
  s.start();
  await s.has('shop/web', '192.0.2.1');
  assert.deepEqual(s.read('shop/web')?.metadata.finalizers, []);
  s.service('shop/old', {
    annotations: { [annotation]: '192.0.2.2' },
    labels: { implementation: 'kube-vip' },
    finalizers: [finalizer],
  });
  s.remove('shop/old');
  await eventually('it is gone', () => s.read('shop/old') === undefined);
});

test('IPAM-14 a missing ConfigMap is created empty, and a changed one counts at once', async (t) => {
  const s = await scene(t);
  s.service('shop/web');
  s.start();
  await s.told('web', /^NoAddressPool: .*cidr-shop, cidr-global.*ConfigMap kube-system\/kubevip/);
  await eventually('it is created', () => s.api.peek(configMaps, settings.configMap) !== undefined);
  s.pools({ 'range-shop': '192.0.2.1-192.0.2.1' });
  await s.has('shop/web', '192.0.2.1');
  s.service('shop/more');
  await s.told('more', /^AddressPoolExhausted: shop\/more: no free IPv4 address in range-shop \(range 192/);
  s.pools({ 'cidr-shop': '192.0.2.0/30' });
  await s.has('shop/more', '192.0.2.2');
  // The same text as before, read another way: nothing stale is used.
  s.pools({ 'cidr-shop': '192.0.2.0/30', 'skip-end-ips-in-cidr': 'true' });
  s.service('shop/third');
  await s.told('third', /^AddressPoolExhausted/);
  s.pools({ 'cidr-shop': '192.0.2.0/30' });
  await s.has('shop/third', '192.0.2.3');
  s.api.remove(configMaps, settings.configMap);
  const missing = (): number =>
    s.log.lines.filter((line) => line.includes('address pools is missing')).length;
  await eventually('that is seen', () => missing() === 2);
  await s.clock.advance(10_000);
  await eventually('it is created again', () => s.api.peek(configMaps, settings.configMap) !== undefined);
});

test('IPAM-15 the interface of the namespace, else the global one; what a Service says itself stays', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.9', 'interface-global': 'eth1', 'interface-shop': 'eth2' });
  s.service('shop/a');
  s.service('other/b');
  s.service('shop/c', { annotations: { 'kube-vip.io/serviceInterface': 'eth9' } });
  s.start();
  const linkOf = (key: string): string | undefined =>
    s.read(key)?.metadata.annotations?.['kube-vip.io/serviceInterface'];
  for (const key of ['shop/a', 'other/b', 'shop/c'])
    await eventually(`${key} has an address`, () => s.addressOf(key) !== '');
  assert.deepEqual(['shop/a', 'other/b', 'shop/c'].map(linkOf), ['eth2', 'eth1', 'eth9']);
});

test('IPAM-05 a DHCP pool gives 0.0.0.0, to as many as ask', async (t) => {
  const s = await scene(t);
  s.pools({ 'cidr-shop': '0.0.0.0/32' });
  s.service('shop/a');
  s.service('shop/b', { spec: { ipFamilyPolicy: 'RequireDualStack' } });
  s.start();
  await s.has('shop/a', '0.0.0.0');
  await s.has('shop/b', '0.0.0.0');
});

test('IPAM-17 a Service that was changed meanwhile is decided again; its address is nobody else’s in between', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.2' });
  const stalled = s.api.fail(
    { verb: 'update', path: '/api/v1/namespaces/shop/services/a' },
    { delayMs: 200 },
    1,
  );
  s.service('shop/a');
  s.start();
  await eventually('the update is under way', () => stalled.hits === 1);
  s.service('shop/b');
  await s.has('shop/b', '192.0.2.2');
  // Somebody else writes first: the update on the old version must fail.
  s.service('shop/a', { annotations: { touched: 'yes' } });
  await s.has('shop/a', '192.0.2.1');
  assert.equal(s.read('shop/a')?.metadata.annotations?.['touched'], 'yes');
});

test('IPAM-17 a slow or failing Service delays nobody, and is tried again', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-global': '192.0.2.1-192.0.2.9' });
  const path = '/api/v1/namespaces/shop/services/';
  s.api.fail({ verb: 'update', path: `${path}slow` }, { stall: true });
  const refused = s.api.fail(
    { verb: 'update', path: `${path}bad` },
    { status: 500, reason: 'InternalError' },
  );
  s.service('shop/slow');
  s.service('shop/bad');
  s.start();
  await eventually('it is refused', () => refused.hits === 1);
  s.service('shop/web');
  await s.has('shop/web', '192.0.2.3');
  await s.told('bad', /^AddressNotWritten: .*500 InternalError/);
  refused.clear();
  await s.clock.advance(100);
  await s.has('shop/bad', '192.0.2.1');
});

test('IPAM-18 what a user must know is an Event on the Service, once', async (t) => {
  const s = await scene(t, { reserved: [] });
  s.pools({ 'cidr-shop': '192.0.2.1/32' });
  s.node('node-b', '192.0.2.77', 'node-b.example');
  s.service('shop/web');
  s.start();
  await s.told('web', /^EnsuredLoadBalancer: assigned 192\.0\.2\.1 from cidr-shop/);
  s.service('shop/own', { spec: { loadBalancerIP: '192.0.2.77' } });
  await s.told('own', /^AddressRefused: .*192\.0\.2\.77 is an address of Node node-b/);
  s.service('shop/six', { spec: { ipFamilies: ['IPv6'] } });
  await s.told('six', /^NoAddressOfFamily: .*cidr-shop has no IPv6 addresses/);
  s.service('shop/dual', { spec: { ipFamilyPolicy: 'RequireDualStack' } });
  await s.told('dual', /^NoAddressOfFamily: .*RequireDualStack needs/);
  s.service('shop/far', { annotations: { [annotation]: '198.51.100.1' } });
  await s.told('far', /^AddressOutsidePools: 198\.51\.100\.1 is not in cidr-shop \(192\.0\.2\.1\/32\)/);
  s.service('shop/full');
  await s.told('full', /^AddressPoolExhausted/);
  s.service('shop/full', { annotations: { other: 'change' } });
  s.service('shop/sign', { annotations: { [annotation]: '198.51.100.2' } });
  await s.told('sign', /^AddressOutsidePools/);
  assert.equal((await s.eventsOf('full')).length, 1);
  assert.equal(s.log.lines.filter((line) => line.includes('shop/full: no free')).length, 1);
});

test('IPAM-18 ports that are changed into those of another Service on the address are told', async (t) => {
  const s = await scene(t);
  s.pools({ 'range-shop': '192.0.2.1-192.0.2.1', 'allow-share-shop': 'true' });
  s.service('shop/a', { port: 80 });
  s.service('shop/b', { port: 81 });
  s.start();
  await s.has('shop/b', '192.0.2.1');
  const { metadata } = s.read('shop/b') ?? assert.fail();
  s.service('shop/b', {
    annotations: metadata.annotations ?? {},
    labels: metadata.labels ?? {},
    finalizers: metadata.finalizers ?? [],
    port: 80,
  });
  await s.told('b', /^AddressConflict: .*192\.0\.2\.1 is used by Service shop\/a \(TCP\/80\)/);
  assert.equal(s.addressOf('shop/b'), '192.0.2.1');
});

test('addresses of Nodes and of the control plane are not given to Services', async (t) => {
  const s = await scene(t, { reserved: ['192.0.2.2' as never] });
  s.node('node-b', '192.0.2.1');
  s.pools({ 'range-global': '192.0.2.1-192.0.2.5' });
  s.service('shop/web');
  s.start();
  await s.has('shop/web', '192.0.2.3');
});

test('Nodes that may not be listed hold nothing up for long', async (t) => {
  const s = await scene(t);
  s.api.fail({ verb: 'list', path: '/api/v1/nodes' }, { status: 403, reason: 'Forbidden' });
  s.pools({ 'range-global': '192.0.2.1-192.0.2.5' });
  s.service('shop/web');
  s.start();
  await eventually(
    'the others are known',
    () => s.ipam.status().waitingFor === 'Nodes have not been listed yet',
  );
  assert.equal(s.addressOf('shop/web'), '');
  await s.clock.advance(2000);
  await s.has('shop/web', '192.0.2.1');
});

test('a restart finds everything as it was and writes nothing', async (t) => {
  const first = await scene(t);
  first.pools({ 'range-global': '192.0.2.1-192.0.2.5' });
  for (const n of [1, 2, 3]) first.service(`shop/s${n}`);
  first.start();
  await first.has('shop/s3', '192.0.2.3');
  const { api } = first;
  await first.stop();
  const second = await scene(t, {}, api);
  second.start();
  second.service('shop/s4');
  await second.has('shop/s4', '192.0.2.4');
  assert.equal(second.updates().length, 4);
});

test('pool usage is in the status and the metrics', async (t) => {
  const s = await scene(t);
  s.pools({
    'cidr-shop': '192.0.2.0/24,2001:db8::/126',
    'range-global': '10.0.0.250-10.0.1.5',
    'cidr-dhcp': '0.0.0.0/32',
    'cidr-bad': 'x/y',
  });
  s.service('shop/a', { spec: { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6', 'IPv4'] } });
  s.service('shop/b', { annotations: { [annotation]: '192.0.2.255' } });
  s.start();
  await s.has('shop/a', '2001:db8::,192.0.2.1');
  assert.deepEqual(s.ipam.status().pools, [
    { pool: 'cidr-shop', family: 4, size: 254, used: 1 },
    { pool: 'cidr-shop', family: 6, size: 4, used: 1 },
    { pool: 'range-global', family: 4, size: 10, used: 0 },
  ]);
  assert.equal(s.ipam.status().problems.length, 1);
  await eventually('it is counted', () => s.metrics.ipamAssigned.samples()[0]?.value === 1);
});
