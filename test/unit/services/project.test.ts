import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KubeObject } from '../../../src/kube/types.ts';
import { Catalogue } from '../../../src/services/catalogue.ts';
import { decide } from '../../../src/services/decide.ts';
import { familiesAnywhere, servedFamilies } from '../../../src/services/families.ts';
import { projectService, SliceProjector } from '../../../src/services/project.ts';
import { ingressOf, isWritten } from '../../../src/services/status-writer.ts';
import type { ServicesConfig } from '../../../src/services/types.ts';

const config: ServicesConfig = {
  legacyClass: true,
  classOnly: false,
  className: 'kube-vip.io/kube-vip-class',
  perServiceElection: true,
  electionOnDemand: false,
  globalLease: 'kube-system/plndr-svcs-lock',
  dnsMode: 'first',
};

/** A value, null (as a server that is not written in Go has it) or nothing. */
const or = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined> =>
  fc.oneof({ weight: 3, arbitrary: value }, fc.constantFrom(null, undefined));

const text = (...values: readonly string[]): fc.Arbitrary<string | null | undefined> =>
  or(fc.constantFrom(...values));

const service = fc.record({
  metadata: fc.record({
    name: fc.constant('web'),
    namespace: fc.constant('shop'),
    uid: text('u1'),
    annotations: or(fc.constant({ 'kube-vip.io/loadbalancerIPs': '192.0.2.1,2001:db8::1' })),
    creationTimestamp: text('2026-01-01T00:00:00Z'),
  }),
  spec: or(
    fc.record({
      type: text('LoadBalancer'),
      loadBalancerIP: text('192.0.2.2', 'a.example', ''),
      loadBalancerClass: text(config.className),
      externalTrafficPolicy: text('Local', 'Cluster'),
      ipFamilies: or(fc.constant(['IPv4', 'IPv6'])),
      ipFamilyPolicy: text('PreferDualStack'),
      loadBalancerSourceRanges: or(fc.constant(['10.0.0.0/8'])),
      ports: or(fc.array(fc.record({ port: fc.constant(80), protocol: text('TCP') }), { maxLength: 2 })),
    }),
  ),
  status: or(
    fc.record({
      loadBalancer: or(
        fc.record({
          ingress: or(
            fc.array(
              fc.record({
                ip: text('192.0.2.3'),
                hostname: text('b.example'),
                ports: or(fc.constant([{ port: 80, protocol: 'TCP' }])),
              }),
              { maxLength: 2 },
            ),
          ),
        }),
      ),
    }),
  ),
});

const slice = fc.record({
  metadata: fc.record({
    name: fc.constant('web-1'),
    namespace: fc.constant('shop'),
    labels: or(fc.constant({ 'kubernetes.io/service-name': 'web' })),
  }),
  addressType: text('IPv4', 'IPv6', 'FQDN'),
  endpoints: or(
    fc.array(
      fc.record({
        addresses: or(fc.constant(['10.1.0.1'])),
        nodeName: text('node-a'),
        hostname: text('node-a'),
        conditions: or(
          fc.record({
            ready: or(fc.boolean()),
            serving: or(fc.boolean()),
            terminating: or(fc.boolean()),
          }),
        ),
      }),
      { maxLength: 3 },
    ),
  ),
});

test('SVC-28 whatever of a Service or an EndpointSlice is null or absent, it is decided about', () => {
  fc.assert(
    fc.property(service, fc.array(slice, { maxLength: 2 }), (rawService, rawSlices) => {
      const projector = new SliceProjector();
      const known = projectService(rawService as unknown as KubeObject);
      const slices = rawSlices.map((raw) => projector.slice(raw as unknown as KubeObject));
      decide({ service: known, slices }, config, 'node-a');
      servedFamilies(known, slices, 'node-a');
      familiesAnywhere(slices);
      isWritten(known, { ingress: ingressOf(known, ['192.0.2.1']), vipHost: undefined });
      const catalogue = new Catalogue(config);
      catalogue.put('shop/web', known);
      slices.forEach((each, i) => catalogue.putSlice(`shop/web-${i}`, each));
    }),
    { numRuns: 2000 },
  );
});

test('SVC-28 a class or conditions that are null are none', () => {
  const object = {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { type: 'LoadBalancer', loadBalancerIP: '192.0.2.1', loadBalancerClass: null },
  };
  const endpoint = { addresses: ['10.1.0.1'], nodeName: 'node-a', conditions: null };
  const labels = { 'kubernetes.io/service-name': 'web' };
  const known = projectService(object);
  const raw = { metadata: { name: 'web-1', namespace: 'shop', labels }, endpoints: [endpoint] };
  const slices = [new SliceProjector().slice(raw)];
  assert.equal(decide({ service: known, slices }, config, 'node-a').kind, 'advertise');
});
