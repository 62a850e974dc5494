import { Counter, expose, Gauge, Histogram } from './metric-kinds.ts';
import type { AnyMetric, Sample } from './metric-kinds.ts';

/** Every metric of the program. The reference page docs/reference/metrics.md is generated from this. */
function declareMetrics() {
  return {
    buildInfo: gauge('kube_vip_build_info', 'Always 1; which program this is.', ['version', 'build', 'node']),
    isLeader: gauge('kube_vip_is_leader', '1 while this node holds the lease, else 0.', [
      'node',
      'lease_name',
    ]),
    leaseTransitions: counter(
      'kube_vip_leader_election_transitions_total',
      'Times this node became or ceased to be the holder of the lease.',
      ['lease_name'],
    ),
    leaseHolder: gauge('kube_vip_lease_holder_info', '1 for the node that the lease names as its holder.', [
      'lease_name',
      'holder',
    ]),
    leaseLosses: counter('kube_vip_lease_losses_total', 'Tenures of this node that ended, by reason.', [
      'lease_name',
      'reason',
    ]),
    leaseRenewAge: gauge(
      'kube_vip_lease_last_renew_age_seconds',
      'Seconds since this node last renewed the lease; absent when it never held it.',
      ['lease_name'],
    ),
    vipPresent: gauge('kube_vip_vip_present', '1 while the VIP is on the link of this node, else 0.', [
      'vip',
      'link',
    ]),
    announcements: counter(
      'kube_vip_announcements_total',
      'Gratuitous ARP and unsolicited NA frames by result: sent, failed, or withheld because the lease does not hold.',
      ['vip', 'link', 'result'],
    ),
    secondClaimants: counter(
      'kube_vip_second_claimants_total',
      'Frames in which another station claimed a VIP that this node holds.',
      ['vip', 'link'],
    ),
    refusalsWithheld: counter(
      'kube_vip_refusals_withheld_total',
      'Refusals of a dead API server that clients of a balanced VIP did not get, so that they knock again and reach another: by the holder of the VIP, or by the server itself (`directroute`). Read every ten seconds.',
      ['by'],
    ),
    addressRestores: counter(
      'kube_vip_address_restores_total',
      'VIPs that vanished from the link behind our back and were put back.',
      ['vip', 'link'],
    ),
    addressErrors: counter(
      'kube_vip_address_errors_total',
      'Failed tries to put a VIP on the link or take it off.',
      ['vip', 'link'],
    ),
    watchAge: gauge(
      'kube_vip_watch_age_seconds',
      'Seconds since the API server was last heard on the watch of this resource.',
      ['resource'],
    ),
    watchRelists: counter(
      'kube_vip_watch_relists_total',
      'Times a watch had to start again with a full list.',
      ['resource'],
    ),
    eventLoopDelay: gauge(
      'kube_vip_event_loop_delay_seconds',
      'How late timers ran since the previous scrape: median, 99th percentile, and maximum (quantile 1).',
      ['quantile'],
    ),
    refused: counter('kube_vip_refused_total', 'Items that a full buffer refused, by buffer.', ['buffer']),
    decodeErrors: counter(
      'kube_vip_decode_errors_total',
      'Messages from the network that were not valid, by protocol.',
      ['protocol'],
    ),
    activeServices: gauge('kube_vip_active_services', 'Services that are advertised by this node.', [
      'namespace',
    ]),
    serviceReconcileErrors: counter(
      'kube_vip_service_reconcile_errors_total',
      'Failed reconciliations of Services.',
      ['namespace', 'name', 'reason'],
    ),
    serviceReconcileDuration: histogram(
      'kube_vip_service_reconcile_duration_seconds',
      'Time a reconciliation of a Service took.',
      ['namespace'],
    ),
    serviceElectionLoops: gauge(
      'kube_vip_service_election_loops',
      'Elections for single Services that are running.',
      ['namespace', 'name'],
    ),
    serviceElectionAttempts: counter(
      'kube_vip_service_election_attempts_total',
      'Elections for single Services that were started.',
      ['namespace', 'name'],
    ),
    serviceElectionErrors: counter(
      'kube_vip_service_election_errors_total',
      'Elections for single Services that failed.',
      ['namespace', 'name', 'reason'],
    ),
    serviceEvents: counter('kube_vip_manager_all_services_events', 'Watch events of Services by type.', [
      'type',
    ]),
    ipamPoolAddresses: gauge(
      'kube_vip_ipam_pool_addresses',
      'Addresses that a pool can give out, by key of the ConfigMap.',
      ['pool', 'family'],
    ),
    ipamPoolUsed: gauge(
      'kube_vip_ipam_pool_used_addresses',
      'Addresses of a pool that somebody has: Services, and Nodes if they lie in it.',
      ['pool', 'family'],
    ),
    ipamWaiting: gauge(
      'kube_vip_ipam_waiting_services',
      'Services that wait for an address; see their Events.',
      [],
    ),
    ipamAssigned: counter('kube_vip_ipam_assigned_total', 'Services that were given an address.', []),
    ipamRefused: counter(
      'kube_vip_ipam_refused_total',
      'Times a Service was told that it cannot have an address, by reason.',
      ['reason'],
    ),
    ipamWriteFailures: counter(
      'kube_vip_ipam_write_failures_total',
      'Updates of Services that failed and are tried again, by kind of error.',
      ['error'],
    ),
    bgpSessionInfo: gauge('kube_vip_manager_bgp_session_info', '1 for the state a BGP session is in.', [
      'state',
      'peer',
    ]),
    processCpu: counter('process_cpu_seconds_total', 'User and system CPU time spent, in seconds.', []),
    processMemory: gauge('process_resident_memory_bytes', 'Resident memory, in bytes.', []),
    processFds: gauge('process_open_fds', 'Open file descriptors.', []),
    processStart: gauge(
      'process_start_time_seconds',
      'Start of the process, in seconds since the epoch.',
      [],
    ),
    seriesRefused: counter(
      'kube_vip_metric_series_refused_total',
      'Series that were refused because a metric has too many.',
      [],
    ),
  };
}

function gauge<const L extends string>(name: string, help: string, labels: readonly L[]): Gauge<L> {
  return new Gauge<L>({ name, type: 'gauge', help, labels });
}

function counter<const L extends string>(name: string, help: string, labels: readonly L[]): Counter<L> {
  return new Counter<L>({ name, type: 'counter', help, labels });
}

function histogram<const L extends string>(name: string, help: string, labels: readonly L[]): Histogram<L> {
  return new Histogram<L>({ name, type: 'histogram', help, labels });
}

type MetricTable = ReturnType<typeof declareMetrics>;

/** The metrics of one process. `on scrape` callbacks fill in what is only read, never counted. */
export interface Metrics extends Readonly<MetricTable> {
  /** Runs before every exposition; what takes long does so in small steps, with an empty text after each. Must not throw. */
  onScrape(collect: () => Iterable<''> | undefined): void;
  /** All metrics in exposition format 0.0.4, in small pieces. Only one at a time may be read. */
  exposition(): Iterable<string>;
  /** Counters that are not zero, for the status document. */
  counters(): Iterable<Sample>;
  all(): readonly AnyMetric[];
}

export function createMetrics(): Metrics {
  const table = declareMetrics();
  const all = Object.values(table) as readonly AnyMetric[];
  const collectors: (() => Iterable<''> | undefined)[] = [];
  return {
    ...table,
    onScrape: (collect) => void collectors.push(collect),
    *exposition() {
      for (const collect of collectors) yield* collect() ?? [];
      table.seriesRefused.advanceTo(
        {},
        all.reduce((sum, metric) => sum + metric.refused, 0),
      );
      for (const metric of all) yield* expose(metric);
    },
    *counters() {
      for (const metric of all) {
        const { type, name } = metric.declaration;
        if (type !== 'counter' || !name.startsWith('kube_vip_')) continue;
        for (const sample of metric.each()) if (sample.value > 0) yield sample;
      }
    },
    all: () => all,
  };
}

/** The media type of the exposition. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
