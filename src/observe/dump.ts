import type { Config } from '../config/index.ts';
import type { LoopDelay } from './process-metrics.ts';
import type { BalancerStatus, IpamStatus, StatusDocument } from './status.ts';

/** What the state dump shows. Secrets are left out here, not by whoever prints it. */
export interface DumpSnapshot {
  readonly config: Config;
  readonly status: StatusDocument;
  /** Undefined where Services are off. */
  readonly services: Iterable<DumpedService> | undefined;
  /** Our tables in nf_tables. */
  readonly tables: readonly DumpedTable[];
  /** How late the event loop was since the last scrape. */
  readonly loop: LoopDelay;
}

export interface DumpedService {
  /** `namespace/name`. */
  readonly service: string;
  readonly uid: string;
  /** This node advertises it. */
  readonly isActive: boolean;
  readonly vips: readonly string[];
  readonly lease: string | undefined;
  readonly slices: number;
  readonly endpoints: number;
  readonly state: string;
}

export interface DumpedTable {
  readonly family: string;
  readonly name: string;
  readonly chains: readonly { readonly name: string; readonly rules: readonly string[] }[];
}

/** Lines of one kind; the rest is counted. */
const MAX_LINES = 1000;
const RULE = '='.repeat(80);

type Value = string | number | boolean;
type Line = readonly [label: string, value: Value] | string;
/** Undefined: some work was done, and there is no line yet. */
type Lines = Iterable<Line | undefined>;

/**
 * The text of the SIGUSR1 dump: kube-vip's frame, headings and `Label: value` lines, which scripts
 * grep for; what this program knows beyond that follows inside the sections. In small pieces.
 */
export function* renderDump(snapshot: DumpSnapshot): Generator<string> {
  for (const line of dumpLines(snapshot)) yield line === undefined ? '' : `${renderLine(line)}\n`;
}

function* dumpLines(snapshot: DumpSnapshot): Generator<Line | undefined> {
  const { status } = snapshot;
  yield* [
    RULE,
    'KUBE-VIP CONFIGURATION DUMP',
    RULE,
    ['Timestamp', status.time],
    ['Node Name', status.node],
    ['Process ID', status.pid],
    ['Version', status.version],
  ] satisfies readonly Line[];
  yield* section('BASIC CONFIGURATION', basic(snapshot));
  yield* section('BGP CONFIGURATION', bgp(snapshot));
  yield* section('ARP/NDP CONFIGURATION', arp(snapshot));
  yield* section('SERVICES CONFIGURATION', services(snapshot));
  yield* section('NETWORK INTERFACES', interfaces(snapshot));
  yield* section('LEADER ELECTION CONFIGURATION', election(snapshot));
  yield* section('RUNTIME STATISTICS', runtime(snapshot));
  yield* section('NFTABLES CONFIGURATION', nftables(snapshot));
  yield* ['', RULE, 'END OF CONFIGURATION DUMP', RULE];
}

function* section(title: string, lines: Lines): Generator<Line | undefined> {
  yield* ['', `--- ${title} ---`];
  yield* lines;
}

function renderLine(line: Line): string {
  return typeof line === 'string' ? line : `${line[0]}: ${String(line[1])}`;
}

function basic({ config, status }: DumpSnapshot): readonly Line[] {
  return [
    ['VIP', config.address],
    ['VIP Subnet', config.vipSubnet],
    ['Port', config.port],
    ['Namespace', config.namespace],
    ['Instance Name', config.instanceName],
    ['Service Namespace', config.serviceNamespace],
    // Found at start when it is not given.
    ['Interface', config.interface === '' ? firstLink(status) : config.interface],
    ['Services Interface', config.servicesInterface],
    ['Single Node Mode', config.singleNode],
    ['Start As Leader', config.startAsLeader],
  ];
}

function firstLink({ vips }: DumpSnapshot['status']): string {
  for (const { link } of vips) return link;
  return '';
}

function bgp({ config, status }: DumpSnapshot): readonly Line[] {
  if (!config.enableBgp) return [['BGP Enabled', false]];
  return [
    ['BGP Enabled', true],
    ['BGP AS', config.bgpAs],
    ['BGP Router ID', config.bgpRouterId],
    ['BGP Source IP', config.bgpSourceIp],
    ['BGP Source Interface', config.bgpSourceIf],
    ['BGP Hold Time', config.bgpHoldTime],
    ['BGP Keepalive Interval', config.bgpKeepaliveInterval],
    ['BGP Peers', status.peers.length],
    ...status.peers.map((peer, index) => {
      const since = `${Math.round(peer.sinceSeconds)}s`;
      const bfd = peer.bfd === undefined ? '' : `, BFD ${peer.bfd}`;
      return `  Peer ${index + 1}: ${peer.address}:${peer.port} (AS: ${peer.as}), ${peer.state} for ${since} (${peer.reason}), ${peer.sessions} sessions${bfd}`;
    }),
    '',
    '--- ACTIVE BGP RIB STATE ---',
    ...status.peers.flatMap(({ address, advertised }) =>
      advertised.map(({ prefix, nextHop }) => `  ${prefix} next hop ${nextHop}, known to ${address}`),
    ),
  ];
}

function arp({ config, status }: DumpSnapshot): readonly Line[] {
  return [
    ['ARP Enabled', config.enableArp],
    ['ARP Broadcast Rate', config.arpBroadcastRate],
    ['Wireguard Enabled', config.enableWireguard],
    ['Routing Table Enabled', config.enableRoutingTable],
    ['Routing Table ID', config.routingTableId],
    ['Routing Protocol', config.routingProtocol],
    ['Clean Routing Table', config.cleanRoutingTable],
    ['Second Claimants Seen', status.claimants.length],
    ...status.claimants.map((seen) => `  ${seen.time} ${seen.mac} claims ${seen.vip} on ${seen.link}`),
  ];
}

function* services({ config, services: all }: DumpSnapshot): Generator<Line | undefined> {
  const active = new Capped(
    ({ service, uid, vips }: DumpedService) => `  ${service} (UID ${uid}): ${vips.join(' ')}`,
  );
  const known = new Capped(describeService);
  let slices = 0;
  for (const each of all ?? []) {
    if (each.isActive) active.add(each);
    known.add(each);
    slices += each.slices;
    yield undefined;
  }
  yield* [
    ['Services Enabled', config.enableServices],
    ['Services Election', config.enableServicesElection],
    ['Load Balancer Class Only', config.loadBalancerClassOnly],
    ['Load Balancer Class Name', config.loadBalancerClassName],
    ['Disable Service Updates', config.disableServiceUpdates],
    ['Enable Endpoints', config.enableEndpoints],
    ['Service Security Enabled', config.enableServiceSecurity],
    ['Kube-vip Active Service Instances', active.count],
    ...active.lines(),
    '',
    '--- KUBERNETES CONFIGURATION (SERVICES/ENDPOINTSLICES) ---',
  ] satisfies readonly Line[];
  if (all === undefined) yield '(Services are not watched)';
  else
    yield* [
      ['Services', known.count],
      ['EndpointSlices', slices],
      ...known.lines(),
    ] satisfies readonly Line[];
}

function describeService({ service, vips, lease = 'none', slices, endpoints, state }: DumpedService): string {
  return `  ${service}: ${state}; VIPs ${vips.join(' ')}; lease ${lease}; ${endpoints} endpoints in ${slices} slices`;
}

function nftables({ tables }: DumpSnapshot): readonly Line[] {
  if (tables.length === 0) return ['(no tables of ours)'];
  return tables.flatMap(({ family, name, chains }) => {
    const shown = new Capped(
      (chain: (typeof chains)[number]) => `    chain ${chain.name}: ${chain.rules.join('; ')}`,
    );
    for (const chain of chains) shown.add(chain);
    return [`  table ${family} ${name}`, ...shown.lines()];
  });
}

/** The lines of the first of many things. */
class Capped<T> {
  count = 0;
  private readonly line: (each: T) => string;
  private readonly first: string[] = [];

  constructor(line: (each: T) => string) {
    this.line = line;
  }

  add(each: T): void {
    if (this.count++ < MAX_LINES) this.first.push(this.line(each));
  }

  lines(): readonly string[] {
    const rest = this.count - MAX_LINES;
    return [...this.first, ...(rest > 0 ? [`  ... and ${rest} more`] : [])];
  }
}

function* interfaces({ config, status }: DumpSnapshot): Generator<Line> {
  yield ['Loopback Global Scope', config.loInterfaceGlobalScope];
  yield ['Allow Interface Not Up', config.allowInterfaceNotUp];
  for (const vip of status.vips) {
    const reason = vip.reason === undefined ? '' : ` (${vip.reason})`;
    yield `  ${vip.kind} ${vip.vip} on ${vip.link}: ${vip.state}${reason}, owners ${vip.owners.join(' ')}`;
  }
}

function* election({ config, status }: DumpSnapshot): Generator<Line> {
  yield* [
    ['Control Plane Enabled', config.enableControlPlane],
    ['Detect Control Plane', config.detectControlPlane],
    ['Leader Election Type', config.leaderElectionType],
    ['Leader Election Enabled', config.enableLeaderElection],
    ['Lease Name', config.leaseName],
    ['Lease Duration', `${config.leaseDuration} seconds`],
    ['Renew Deadline', `${config.renewDeadline} seconds`],
    ['Retry Period', `${config.retryPeriod} seconds`],
    ['Services Lease Name', config.servicesLeaseName],
    ['Node Labeling Enabled', config.enableNodeLabeling],
  ] satisfies readonly Line[];
  for (const lease of status.leases) {
    const age = lease.lastRenewAgeMs === undefined ? 'never' : `${Math.round(lease.lastRenewAgeMs)}ms ago`;
    yield `  ${lease.lease}: holder ${lease.holder === '' ? '(nobody)' : lease.holder}, this node ${lease.isHolder ? 'holds it' : 'does not hold it'}, renewed ${age}, ${lease.transitions} transitions`;
    if (lease.lastReason !== '') yield `    last reason: ${lease.lastReason}`;
    if (lease.lastError !== undefined) yield `    last error: ${lease.lastError}`;
  }
}

function balancer({ backend, reason, virtualServers, backends }: BalancerStatus): readonly Line[] {
  return [
    ['Load Balancer Backend', `${backend} (${reason})`],
    ...virtualServers.map((server) => {
      const why = server.reason === undefined ? '' : ` (${server.reason})`;
      return `  virtual server ${server.vip}:${server.port}: ${server.state}${why}`;
    }),
    ...backends.map(({ node, address, phase, lastProblem }) => {
      const why = lastProblem === undefined ? '' : ` (${lastProblem})`;
      return `  backend ${address} on ${node}: ${phase}${why}`;
    }),
  ];
}

function addresses(ipam: IpamStatus): readonly Line[] {
  const holder = ipam.holder === '' ? '(nobody)' : ipam.holder;
  return [
    ['Address Controller', ipam.active ? 'active' : `standby, active is ${holder}`],
    ...(ipam.waitingFor === undefined ? [] : [`  ${ipam.waitingFor}`]),
    ...ipam.pools.map(
      ({ pool, family, size, used }) => `  pool ${pool} IPv${family}: ${used} of ${size} used`,
    ),
    ...ipam.problems.map((problem) => `  problem: ${problem}`),
    ['Services Waiting For An Address', ipam.waiting],
  ];
}

function* runtime({ config, status, loop }: DumpSnapshot): Generator<Line> {
  yield* [
    ['Load Balancer Enabled', config.enableLoadBalancer],
    ['Load Balancer Port', config.loadBalancerPort],
    ['Load Balancer Forwarding Method', config.loadBalancerForwardingMethod],
    ['Load Balancers Configured', status.balancer?.virtualServers.length ?? 0],
    ...(status.balancer === undefined ? [] : balancer(status.balancer)),
    ...(status.ipam === undefined ? [] : addresses(status.ipam)),
    ['Prometheus HTTP Server', config.prometheusHttpServer],
    ['Health Check Port', config.healthCheckPort],
    ['UPNP Enabled', config.enableUpnp],
    ['Egress Clean Enabled', config.egressClean],
    ['Egress with nftables', config.egressWithNftables],
    ['Egress Pod CIDR', config.egressPodCidr],
    ['Egress Service CIDR', config.egressServiceCidr],
    ['Uptime', `${Math.round(status.uptimeSeconds)}s`],
    ['Ready', status.notReady.length === 0 ? 'true' : `false (${status.notReady.join('; ')})`],
    ['Event Loop Delay', `p50 ${ms(loop.p50Ms)}, p99 ${ms(loop.p99Ms)}, max ${ms(loop.maxMs)}`],
    ...status.watches.map((watch) => {
      const age = watch.ageMs === undefined ? 'never heard' : `heard ${Math.round(watch.ageMs)}ms ago`;
      const error = watch.lastError === undefined ? '' : `, last error: ${watch.lastError}`;
      return `  watch ${watch.resource}: ${watch.items} items, ${age}, ${watch.relists} relists${error}`;
    }),
  ] satisfies readonly Line[];
  for (const timer of status.timers) yield `  timer ${timer.name}: in ${Math.round(timer.inMs)}ms`;
  for (const sample of status.counters) {
    const labels = Object.entries(sample.labels).map(([label, value]) => `${label}=${value}`);
    yield `  counter ${[sample.name, ...labels].join(' ')}: ${sample.value}`;
  }
}

function ms(value: number): string {
  return `${value.toFixed(1)}ms`;
}
