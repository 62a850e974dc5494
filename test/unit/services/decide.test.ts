import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, leaseOf } from '../../../src/services/decide.ts';
import { wantedAddresses } from '../../../src/services/addresses.ts';
import type { Endpoint, EndpointSlice, Service, ServicesConfig } from '../../../src/services/types.ts';

const config: ServicesConfig = {
  legacyClass: true,
  classOnly: false,
  className: 'kube-vip.io/kube-vip-class',
  perServiceElection: false,
  electionOnDemand: false,
  globalLease: 'kube-system/plndr-svcs-lock',
  dnsMode: 'first',
};

function service(
  spec: Service['spec'] = {},
  annotations: Record<string, string> = {},
  ingress: string[] = [],
): Service {
  return {
    metadata: { name: 'web', namespace: 'shop', annotations },
    spec: { type: 'LoadBalancer', loadBalancerIP: '192.0.2.1', externalTrafficPolicy: 'Cluster', ...spec },
    status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
  };
}

const slice = (...endpoints: Endpoint[]): EndpointSlice => ({ metadata: {}, endpoints });
const on = (
  nodeName: string,
  conditions: Endpoint['conditions'] = { ready: true, serving: true },
): Endpoint => ({
  addresses: ['10.1.0.1'],
  nodeName,
  conditions,
});

function outcome(
  svc: Service,
  slices: EndpointSlice[] = [slice(on('node-b'))],
  with_: Partial<ServicesConfig> = {},
): string {
  const decision = decide({ service: svc, slices }, { ...config, ...with_ }, 'node-a');
  return decision.kind === 'withhold' ? decision.reason : decision.addresses.join(',');
}

test('SVC-02 only type LoadBalancer is handled', () => {
  assert.equal(outcome(service()), '192.0.2.1');
  assert.equal(outcome(service({ type: 'ClusterIP' })), 'not-a-load-balancer');
});

test('SVC-05 legacy class filter with and without lb_class_only', () => {
  const foreign = { loadBalancerClass: 'other.io/lb' };
  const own = { loadBalancerClass: config.className };
  assert.equal(outcome(service(own)), '192.0.2.1');
  assert.equal(outcome(service(foreign)), 'class-mismatch');
  assert.equal(outcome(service(), undefined, { classOnly: true }), 'class-mismatch');
  assert.equal(outcome(service(own), undefined, { classOnly: true }), '192.0.2.1');
});

test('SVC-06 modern class filter, with an empty class name too', () => {
  const modern = { legacyClass: false };
  assert.equal(outcome(service(), undefined, modern), 'class-mismatch');
  assert.equal(outcome(service({ loadBalancerClass: config.className }), undefined, modern), '192.0.2.1');
  assert.equal(outcome(service(), undefined, { ...modern, className: '' }), '192.0.2.1');
  assert.equal(
    outcome(service({ loadBalancerClass: 'x' }), undefined, { ...modern, className: '' }),
    'class-mismatch',
  );
});

test('SVC-08 addresses come from the annotation, a differing spec, the status, the spec, in this order', () => {
  const key = 'kube-vip.io/loadbalancerIPs';
  const from = (svc: Service): string => wantedAddresses(svc).addresses.join(',');
  assert.equal(from(service({}, { [key]: '192.0.2.7' }, ['192.0.2.3'])), '192.0.2.7');
  assert.equal(from(service({}, {}, ['192.0.2.3'])), '192.0.2.1');
  assert.equal(
    from(service({ loadBalancerIP: '192.0.2.3' }, {}, ['192.0.2.3', '2001:db8::3'])),
    '192.0.2.3,2001:db8::3',
  );
  assert.equal(from(service({ loadBalancerIP: '' }, {}, ['192.0.2.3'])), '192.0.2.3');
  assert.equal(from(service()), '192.0.2.1');
  assert.equal(outcome(service({}, { [key]: '' })), 'no-address');
});

test('SVC-09 several addresses of both families: order kept, blanks trimmed, canonical', () => {
  const wanted = wantedAddresses(
    service({}, { 'kube-vip.io/loadbalancerIPs': ' 2001:DB8:0::1 , 192.0.2.9,web.example ,192.0.2.9' }),
  );
  assert.deepEqual([wanted.addresses, wanted.hostnames], [['2001:db8::1', '192.0.2.9'], ['web.example']]);
});

test('ARP-03 what no machine can be reached at is refused by name; the rest is served', () => {
  const refused = (list: string): readonly string[] =>
    wantedAddresses(service({}, { 'kube-vip.io/loadbalancerIPs': list })).invalid;
  const bad = ['127.0.0.2', '224.0.0.5', '255.255.255.255', '0.1.2.3', '::1', 'fe80::1', 'ff02::1'];
  for (const address of [...bad, '::ffff:10.1.2.3']) {
    const [message = '', ...more] = refused(`${address},192.0.2.9`);
    assert.match(message, /^kube-vip.io\/loadbalancerIPs: \S+ is /);
    assert.ok(message.includes(address), message);
    assert.deepEqual(more, []);
    assert.equal(
      outcome(service({}, { 'kube-vip.io/loadbalancerIPs': `${address},192.0.2.9` })),
      '192.0.2.9',
    );
  }
  assert.deepEqual(refused('10.0.0.1,169.254.1.1,100.64.0.1,240.0.0.1,2001:db8::1,fd00::1,0.0.0.0,::'), []);
});

test('of a list without end the first 64 are served, and the rest is told', () => {
  const all = Array.from({ length: 15_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const annotated = wantedAddresses(service({}, { 'kube-vip.io/loadbalancerIPs': all.join() }));
  assert.deepEqual(annotated.addresses, all.slice(0, 64));
  const message = 'it has more than 64 items; those after are left out';
  assert.deepEqual(annotated.invalid, [`kube-vip.io/loadbalancerIPs: ${message}`]);
  const ingress = all.map((ip) => ({ ip }));
  const shown = wantedAddresses({
    ...service({ loadBalancerIP: '' }),
    status: { loadBalancer: { ingress } },
  });
  assert.deepEqual(shown.addresses, all.slice(0, 64));
  assert.deepEqual(shown.invalid, [`status.loadBalancer.ingress: ${message}`]);
});

test('what is shown of a text of any length is short and on one line', () => {
  const [message = ''] = wantedAddresses(
    service({}, { 'kube-vip.io/loadbalancerIPs': `a\nb${'x'.repeat(5000)}` }),
  ).invalid;
  assert.match(message, /^kube-vip.io\/loadbalancerIPs: "a\\nbx{77}…" is neither an address nor a name$/);
});

test('a leaseName that no Lease can have is refused, not campaigned for', () => {
  const each = { perServiceElection: true };
  const named = (leaseName: string): Service => service({}, { 'kube-vip.io/leaseName': leaseName });
  const all = [slice(on('node-b'))];
  for (const bad of [
    'Bad Name!',
    '../secrets',
    'a/b/c',
    '/x',
    'x/',
    ' ',
    'UPPER',
    '-x',
    'a_b',
    'y'.repeat(300),
  ])
    assert.equal(outcome(named(bad), all, each), 'invalid-lease', bad);
  for (const good of ['common', 'ns/common', 'ok.name', '', 'y'.repeat(253), `ok.${'y'.repeat(100)}`])
    assert.equal(outcome(named(good), all, each), '192.0.2.1', good);
  assert.equal(
    outcome(named('Bad Name!')),
    '192.0.2.1',
    'without elections of single Services it means nothing',
  );
});

test('ELE-02 a Service with the longest name there is has its lease', () => {
  const named = service();
  const name = 'n'.repeat(63);
  const longest = { ...named, metadata: { ...named.metadata, name } };
  assert.equal(outcome(longest, undefined, { perServiceElection: true }), '192.0.2.1');
  assert.equal(leaseOf(longest, { ...config, perServiceElection: true }), `shop/kubevip-${name}`);
});

test('SVC-27 Cluster needs an endpoint anywhere, Local a serving one on this node by node or host name', () => {
  const local = { externalTrafficPolicy: 'Local' };
  assert.equal(outcome(service()), '192.0.2.1');
  assert.equal(outcome(service(local)), 'no-local-endpoint');
  assert.equal(outcome(service(local), [slice(on('Node-A'))]), '192.0.2.1');
  assert.equal(
    outcome(service(local), [slice({ addresses: ['10.1.0.1'], hostname: 'node-a' })]),
    '192.0.2.1',
  );
  assert.equal(outcome(service(local), [slice(on('node-a', { serving: false }))]), 'no-local-endpoint');
});

test('SVC-28 terminating but serving counts for Local, nil conditions are safe', () => {
  const local = service({ externalTrafficPolicy: 'Local' });
  assert.equal(
    outcome(local, [slice(on('node-a', { ready: false, serving: true, terminating: true }))]),
    '192.0.2.1',
  );
  assert.equal(outcome(local, [slice(on('node-a', { ready: null, serving: null }))]), '192.0.2.1');
  assert.equal(outcome(local, [slice({ addresses: ['10.1.0.1'], nodeName: 'node-a' })]), '192.0.2.1');
});

test('publishNotReadyAddresses: what is published as ready serves, whatever the Pod says', () => {
  const published = [slice(on('node-a', { ready: true, serving: false, terminating: false }))];
  assert.equal(outcome(service(), published), '192.0.2.1');
  assert.equal(outcome(service({ externalTrafficPolicy: 'Local' }), published), '192.0.2.1');
  const names: EndpointSlice = { ...slice(on('node-a')), addressType: 'FQDN' };
  assert.equal(outcome(service(), [names]), 'no-endpoints', 'names are nothing to forward to');
  const not = [slice(on('node-a', { ready: false, serving: false, terminating: false }))];
  assert.equal(outcome(service(), not), 'no-endpoints');
});

test('SVC-29 all slices of a Service are merged', () => {
  const local = service({ externalTrafficPolicy: 'Local' });
  assert.equal(outcome(local, [slice(on('node-b')), slice(), slice(on('node-a'))]), '192.0.2.1');
});

test('SVC-31 allow-reconcile-without-endpoints proceeds with Cluster and is ignored with Local', () => {
  const allowed = { 'kube-vip.io/allow-reconcile-without-endpoints': 'True' };
  assert.equal(outcome(service(), []), 'no-endpoints');
  assert.equal(outcome(service({}, allowed), []), '192.0.2.1');
  assert.equal(outcome(service({ externalTrafficPolicy: 'Local' }, allowed), []), 'no-local-endpoint');
});

test('SVC-38 a shared lease with Local is refused', () => {
  const shared = { 'kube-vip.io/leaseName': 'ns/common' };
  assert.equal(
    outcome(service({ externalTrafficPolicy: 'Local' }, shared), [slice(on('node-a'))]),
    'lease-policy',
  );
  assert.equal(outcome(service({}, shared)), '192.0.2.1');
});

test('ELE-06 without the on-demand setting a forced Service is handled by the global lease', () => {
  const forced = service({}, { 'kube-vip.io/forcePerServiceElection': 'true' });
  assert.equal(leaseOf(forced, config), 'kube-system/plndr-svcs-lock');
  assert.equal(leaseOf(forced, { ...config, electionOnDemand: true }), 'shop/kubevip-web');
});

test('which lease decides: own, shared by name, shared across namespaces', () => {
  const each = { ...config, perServiceElection: true };
  assert.equal(leaseOf(service(), each), 'shop/kubevip-web');
  assert.equal(leaseOf(service({}, { 'kube-vip.io/leaseName': 'common' }), each), 'shop/common');
  assert.equal(leaseOf(service({}, { 'kube-vip.io/leaseName': 'ns/common' }), each), 'ns/common');
});
