import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { collectStatus } from '../../../src/observe/collect.ts';
import { Counter, expose, Gauge, Histogram } from '../../../src/observe/metric-kinds.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { createLeaseNews, createNodeNews } from '../../../src/observe/news.ts';
import { watchProcess } from '../../../src/observe/process-metrics.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { statusDocument } from './status-document.ts';

/** kube-vip's own metrics: name, type, labels. */
const kubeVipMetrics: readonly (readonly [string, string, readonly string[]])[] = [
  ['kube_vip_build_info', 'gauge', ['version', 'build', 'node']],
  ['kube_vip_is_leader', 'gauge', ['node', 'lease_name']],
  ['kube_vip_leader_election_transitions_total', 'counter', ['lease_name']],
  ['kube_vip_active_services', 'gauge', ['namespace']],
  ['kube_vip_service_reconcile_errors_total', 'counter', ['namespace', 'name', 'reason']],
  ['kube_vip_service_reconcile_duration_seconds', 'histogram', ['namespace']],
  ['kube_vip_service_election_loops', 'gauge', ['namespace', 'name']],
  ['kube_vip_service_election_attempts_total', 'counter', ['namespace', 'name']],
  ['kube_vip_service_election_errors_total', 'counter', ['namespace', 'name', 'reason']],
  ['kube_vip_manager_all_services_events', 'counter', ['type']],
  ['kube_vip_manager_bgp_session_info', 'gauge', ['state', 'peer']],
];

test('CP-204 every metric of kube-vip by its name, type and labels; build_info is 1, is_leader covers the control plane', () => {
  const metrics = createMetrics();
  collectStatus(metrics, () => statusDocument());
  const text = [...metrics.exposition()].join('');
  for (const [name, type, labels] of kubeVipMetrics) {
    assert.ok(text.includes(`# TYPE ${name} ${type}\n`), name);
    const declared = metrics.all().find((metric) => metric.declaration.name === name)?.declaration;
    assert.deepEqual(declared?.labels, labels, name);
  }
  assert.match(text, /^kube_vip_build_info\{version="v0\.1\.0",build="abc",node="cp-1"\} 1$/m);
  assert.match(text, /^kube_vip_is_leader\{node="cp-1",lease_name="plndr-cp-lock"\} 1$/m);
});

test('BGP-27 of the states of a BGP peer one is 1; a peer that is gone leaves no series', () => {
  const metrics = createMetrics();
  let status = statusDocument();
  collectStatus(metrics, () => status);
  const series = (): readonly string[] =>
    [...metrics.exposition()].join('').match(/^kube_vip_manager_bgp_session_info\{.*$/gm) ?? [];
  const of = (state: string, peer: string): string =>
    `kube_vip_manager_bgp_session_info{state="SESSION_STATE_${state}",peer="${peer}"}`;
  assert.equal(series().length, 12);
  assert.deepEqual(
    series().filter((line) => line.endsWith(' 1')),
    [`${of('ESTABLISHED', '192.0.2.254:179')} 1`, `${of('ACTIVE', '[2001:db8::254]:179')} 1`],
  );
  status = { ...status, peers: [] };
  assert.deepEqual(series(), []);
});

test('the status is mirrored at every scrape, and what is gone leaves no series', () => {
  const metrics = createMetrics();
  let status = statusDocument();
  collectStatus(metrics, () => status);
  const before = [...metrics.exposition()].join('');
  assert.match(before, /^kube_vip_lease_holder_info\{lease_name="plndr-cp-lock",holder="cp-1"\} 1$/m);
  assert.match(before, /^kube_vip_lease_last_renew_age_seconds\{lease_name="plndr-cp-lock"\} 1\.5$/m);
  assert.match(before, /^kube_vip_vip_present\{vip="192\.0\.2\.1",link="eth0"\} 1$/m);
  assert.match(before, /^kube_vip_watch_age_seconds\{resource="leases"\} 0\.25$/m);
  status = {
    ...status,
    vips: [],
    watches: [],
    leases: [...status.leases].map((lease) => ({ ...lease, holder: 'cp-2', isHolder: false })),
  };
  const after = [...metrics.exposition()].join('');
  assert.match(after, /^kube_vip_lease_holder_info\{lease_name="plndr-cp-lock",holder="cp-2"\} 1$/m);
  assert.doesNotMatch(after, /holder="cp-1"/);
  assert.match(after, /^kube_vip_is_leader\{node="cp-1",lease_name="plndr-cp-lock"\} 0$/m);
  assert.doesNotMatch(after, /^kube_vip_(vip_present|watch_age_seconds)\{/m);
});

test('news of node and election are counted by their closed words', () => {
  const metrics = createMetrics();
  const node = createNodeNews(metrics, new FakeClock());
  for (let n = 0; n < 2; n++) node.framesSent('192.0.2.1', 'eth0').value++;
  node.notAnnounced('192.0.2.1', 'eth0', 'withheld');
  node.addressRestored('192.0.2.1', 'eth0');
  node.addressFailed('192.0.2.1', 'eth0');
  node.secondClaimant('192.0.2.1', 'eth0', '02:00:00:00:00:01');
  const lease = createLeaseNews(metrics, 'kube-system/plndr-cp-lock');
  lease.acquired();
  lease.lost('renew-deadline');
  assert.deepEqual(
    [...metrics.counters()].map(({ name, labels, value }) => [name, ...Object.values(labels), value]),
    [
      ['kube_vip_leader_election_transitions_total', 'plndr-cp-lock', 2],
      ['kube_vip_lease_losses_total', 'plndr-cp-lock', 'renew-deadline', 1],
      ['kube_vip_announcements_total', '192.0.2.1', 'eth0', 'sent', 2],
      ['kube_vip_announcements_total', '192.0.2.1', 'eth0', 'withheld', 1],
      ['kube_vip_second_claimants_total', '192.0.2.1', 'eth0', 1],
      ['kube_vip_address_restores_total', '192.0.2.1', 'eth0', 1],
      ['kube_vip_address_errors_total', '192.0.2.1', 'eth0', 1],
    ],
  );
});

test('the last second claimants are remembered, newest first, once each, no more than 16', async () => {
  const clock = new FakeClock();
  const node = createNodeNews(createMetrics(), clock);
  for (let host = 0; host < 40; host++) node.secondClaimant('192.0.2.1', 'eth0', `02:00:00:00:00:${host}`);
  await clock.advance(1000);
  node.secondClaimant('192.0.2.1', 'eth0', '02:00:00:00:00:30');
  const macs = node.claimants().map((seen) => seen.mac);
  assert.equal(macs.length, 16);
  assert.deepEqual(macs.slice(0, 3), ['02:00:00:00:00:30', '02:00:00:00:00:39', '02:00:00:00:00:38']);
  assert.equal(macs.filter((mac) => mac.endsWith(':30')).length, 1);
  assert.equal(node.claimants()[0]?.time, '2026-01-01T00:00:01.000Z');
});

test('the process and its event loop are measured', () => {
  const metrics = createMetrics();
  const watch = watchProcess(metrics);
  const text = [...metrics.exposition()].join('');
  watch.close();
  assert.match(text, /^process_resident_memory_bytes \d{7,}$/m);
  assert.match(text, /^process_cpu_seconds_total \d/m);
  assert.match(text, /^process_open_fds \d+$/m);
  assert.match(text, /^kube_vip_event_loop_delay_seconds\{quantile="0\.99"\} \d/m);
});

describe('the exposition', () => {
  test('escapes label values and help', () => {
    const gauge = new Gauge<'peer'>({
      name: 'm',
      type: 'gauge',
      help: 'back\\slash\nline',
      labels: ['peer'],
    });
    gauge.set({ peer: 'a"b\\c\nd' }, Infinity);
    assert.equal(
      [...expose(gauge)].join(''),
      '# HELP m back\\\\slash\\nline\n# TYPE m gauge\nm{peer="a\\"b\\\\c\\nd"} +Inf\n',
    );
  });

  test('of a histogram is cumulative', () => {
    const histogram = new Histogram<never>({ name: 'h', type: 'histogram', help: 'h', labels: [] });
    for (const value of [0.001, 0.2, 0.2, 99]) histogram.observe({}, value);
    const text = [...expose(histogram)].join('');
    for (const line of [
      'h_bucket{le="0.005"} 1',
      'h_bucket{le="0.25"} 3',
      'h_bucket{le="10"} 3',
      'h_bucket{le="+Inf"} 4',
      'h_sum 99.401',
      'h_count 4',
    ])
      assert.ok(text.includes(`${line}\n`), line);
  });

  test('of too many series is bounded, and says how many were refused', () => {
    const metrics = createMetrics();
    for (let vip = 0; vip < 2010; vip++)
      metrics.addressRestores.increment({ vip: String(vip), link: 'eth0' });
    assert.match([...metrics.exposition()].join(''), /^kube_vip_metric_series_refused_total 10$/m);
  });

  test('forgets a removed series', () => {
    const counter = new Counter<'link'>({ name: 'c_total', type: 'counter', help: 'c', labels: ['link'] });
    counter.increment({ link: 'a' }, 2);
    counter.advanceTo({ link: 'b' }, 5);
    counter.advanceTo({ link: 'b' }, 4);
    counter.remove({ link: 'a' });
    assert.deepEqual(counter.samples(), [{ name: 'c_total', labels: { link: 'b' }, value: 5 }]);
  });
});

test('every name is a valid one, unique, and counters end in _total', () => {
  const declared = createMetrics()
    .all()
    .map((metric) => metric.declaration);
  assert.equal(new Set(declared.map(({ name }) => name)).size, declared.length);
  for (const { name, labels, type } of declared) {
    assert.match(name, /^[a-z][a-z0-9_]*$/);
    for (const label of labels) assert.match(label, /^[a-z][a-z0-9_]*$/);
    // The one exception is kube-vip's.
    if (type === 'counter' && name !== 'kube_vip_manager_all_services_events') assert.match(name, /_total$/);
  }
});

test('OBS-01 leases of one name in two namespaces are one series: it leads that leads one; the oldest renewal and the deafest watch count', () => {
  const metrics = createMetrics();
  const [lease] = statusDocument().leases;
  assert.ok(lease !== undefined);
  const led = { ...lease, lease: 'shop/kubevip-web', isHolder: true, lastRenewAgeMs: 900 };
  const followed = { ...lease, lease: 'blog/kubevip-web', isHolder: false, lastRenewAgeMs: 1500 };
  const [watch] = statusDocument().watches;
  assert.ok(watch !== undefined);
  const deaf = { ...watch, resource: 'leases', ageMs: 45_000, relists: 2 };
  const well = { ...watch, resource: 'leases', ageMs: 100, relists: 3 };
  for (const turned of [false, true]) {
    const inOrder = <T>(items: readonly T[]): readonly T[] => (turned ? items.toReversed() : items);
    const status = { ...statusDocument(), leases: inOrder([led, followed]), watches: inOrder([deaf, well]) };
    collectStatus(metrics, () => status);
    const text = [...metrics.exposition()].join('');
    assert.match(text, /^kube_vip_is_leader\{node="cp-1",lease_name="kubevip-web"\} 1$/m);
    assert.match(text, /^kube_vip_lease_last_renew_age_seconds\{lease_name="kubevip-web"\} 1\.5$/m);
    assert.match(text, /^kube_vip_watch_age_seconds\{resource="leases"\} 45$/m);
    assert.match(text, /^kube_vip_watch_relists_total\{resource="leases"\} 5$/m);
  }
});
