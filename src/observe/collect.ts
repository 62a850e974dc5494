import type { Metrics } from './metrics.ts';
import { leaseLabel } from './status.ts';
import type { StatusDocument } from './status.ts';

/** Brings the gauges that mirror the status up to date at every scrape: nothing to keep in step in between. */
export function collectStatus(metrics: Metrics, status: () => StatusDocument): void {
  metrics.onScrape(function* () {
    const document = status();
    metrics.buildInfo.set({ version: document.version, build: document.build, node: document.node }, 1);
    yield* collectLeases(metrics, document);
    collectIpam(metrics, document);
    collectPeers(metrics, document);
    metrics.vipPresent.clear();
    for (const { vip, link, present, kind } of document.vips) {
      if (kind === 'address') metrics.vipPresent.set({ vip, link }, present ? 1 : 0);
      yield '';
    }
    collectWatches(metrics, document);
  });
}

/** Several watches may be on one resource, as those on the Leases of two namespaces: the oldest news counts. */
function collectWatches(metrics: Metrics, { watches }: StatusDocument): void {
  metrics.watchAge.clear();
  for (const [resource, all] of Map.groupBy(watches, (watch) => watch.resource)) {
    const ages = all.flatMap(({ ageMs }) => ageMs ?? []);
    if (ages.length > 0) metrics.watchAge.set({ resource }, Math.max(...ages) / 1000);
    metrics.watchRelists.advanceTo(
      { resource },
      all.reduce((sum, { relists }) => sum + relists, 0),
    );
  }
}

function collectIpam(metrics: Metrics, { ipam }: StatusDocument): void {
  metrics.ipamPoolAddresses.clear();
  metrics.ipamPoolUsed.clear();
  metrics.ipamWaiting.clear();
  if (ipam?.active !== true) return;
  metrics.ipamWaiting.set({}, ipam.waiting);
  for (const { pool, family, size, used } of ipam.pools) {
    const labels = { pool, family: String(family) };
    metrics.ipamPoolAddresses.set(labels, size);
    metrics.ipamPoolUsed.set(labels, used);
  }
}

/** kube-vip's own names of the states. */
const sessionStates: Readonly<Record<string, string>> = {
  idle: 'IDLE',
  connect: 'CONNECT',
  active: 'ACTIVE',
  openSent: 'OPENSENT',
  openConfirm: 'OPENCONFIRM',
  established: 'ESTABLISHED',
};

/** One series of 1 for each peer: that of its state. The others are 0, so that a change is seen in both. */
function collectPeers(metrics: Metrics, { peers }: StatusDocument): void {
  metrics.bgpSessionInfo.clear();
  for (const { address, port, state } of peers) {
    const peer = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    for (const [kind, name] of Object.entries(sessionStates))
      metrics.bgpSessionInfo.set({ state: `SESSION_STATE_${name}`, peer }, kind === state ? 1 : 0);
  }
}

/**
 * Services of one name in two namespaces have leases of one name: this node leads if it leads one of them, and the
 * renewal that is longest ago counts.
 */
function* collectLeases(metrics: Metrics, document: StatusDocument): Generator<''> {
  metrics.isLeader.clear();
  metrics.leaseHolder.clear();
  metrics.leaseRenewAge.clear();
  const led = new Set<string>();
  const ages = new Map<string, number>();
  for (const lease of document.leases) {
    const name = leaseLabel(lease.lease);
    if (lease.isHolder) led.add(name);
    metrics.isLeader.set({ node: lease.identity, lease_name: name }, led.has(name) ? 1 : 0);
    if (lease.holder !== '') metrics.leaseHolder.set({ lease_name: name, holder: lease.holder }, 1);
    if (lease.lastRenewAgeMs !== undefined) {
      const age = Math.max(lease.lastRenewAgeMs, ages.get(name) ?? 0);
      ages.set(name, age);
      metrics.leaseRenewAge.set({ lease_name: name }, age / 1000);
    }
    yield '';
  }
}
