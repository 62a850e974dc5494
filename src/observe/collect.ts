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
    metrics.watchAge.clear();
    for (const { resource, ageMs, relists } of document.watches) {
      if (ageMs !== undefined) metrics.watchAge.set({ resource }, ageMs / 1000);
      metrics.watchRelists.advanceTo({ resource }, relists);
    }
  });
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

function* collectLeases(metrics: Metrics, document: StatusDocument): Generator<''> {
  metrics.isLeader.clear();
  metrics.leaseHolder.clear();
  metrics.leaseRenewAge.clear();
  for (const lease of document.leases) {
    const name = leaseLabel(lease.lease);
    metrics.isLeader.set({ node: lease.identity, lease_name: name }, lease.isHolder ? 1 : 0);
    if (lease.holder !== '') metrics.leaseHolder.set({ lease_name: name, holder: lease.holder }, 1);
    if (lease.lastRenewAgeMs !== undefined)
      metrics.leaseRenewAge.set({ lease_name: name }, lease.lastRenewAgeMs / 1000);
    yield '';
  }
}
