import { buildInfo } from '../config/index.ts';
import type { ReflectorStatus } from '../kube/index.ts';
import {
  lazily,
  type LeaseStatus,
  type StatusDocument,
  type TimerStatus,
  type VipStatus,
  type WatchStatus,
} from '../observe/index.ts';
import { formatPrefix } from '../lib/ip.ts';
import { hasControlPlaneElection, modeName } from './mode.ts';
import type { Parts } from './parts.ts';
import type { ServicesFeature } from './services.ts';

/** Everything, for the page, the scrape and the dump. What can be long is made while it is read. */
export function buildStatus(
  parts: Parts,
  services: ServicesFeature | undefined,
  startedAt: number,
  notReady: readonly string[],
): StatusDocument {
  const { clock, node } = parts;
  const now = clock.now();
  return {
    version: buildInfo.version,
    build: buildInfo.build,
    node: parts.identity,
    pid: process.pid,
    time: new Date(clock.wall()).toISOString(),
    uptimeSeconds: (now - startedAt) / 1000,
    notReady,
    mode: modeName(parts.config),
    vips: lazily(() => vipsOf(node)),
    balancer: parts.reports.balancer?.(),
    ipam: parts.reports.ipam?.status(),
    leases: lazily(() => leasesOf(parts, services)),
    peers: (parts.speaker?.status() ?? []).map(({ since, advertised, ...peer }) => ({
      ...peer,
      sinceSeconds: (now - since) / 1000,
      advertised: advertised.map(({ prefix, nextHop }) => ({ prefix: formatPrefix(prefix), nextHop })),
    })),
    watches: watchesOf(parts, services, now),
    timers: lazily(() => timersOf(clock, now)),
    claimants: parts.news.claimants(),
    counters: lazily(() => parts.metrics.counters()[Symbol.iterator]()),
  };
}

function* timersOf(clock: Parts['clock'], now: number): Generator<TimerStatus> {
  for (const { name, at } of clock.timers()) yield { name, inMs: Math.round(at - now) };
}

function* vipsOf(node: Parts['node']): Generator<VipStatus> {
  for (const { spec, owners, state } of node.statuses()) {
    const { vip, link, kind } = spec;
    const reason = state.state === 'ready' ? {} : { reason: state.reason };
    yield { vip, link, kind, owners, present: node.isPresent(vip), state: state.state, ...reason };
  }
}

/** A lease that both features share is listed once. */
function* leasesOf(
  { campaign, config, reports }: Parts,
  services: ServicesFeature | undefined,
): Generator<LeaseStatus> {
  const own = hasControlPlaneElection(config) ? [campaign.election.status()] : [];
  yield* own;
  const isOthers = ({ lease }: LeaseStatus): boolean => lease !== '' && lease !== own[0]?.lease;
  for (const lease of services?.operator.leases() ?? []) if (isOthers(lease)) yield lease;
  for (const lease of reports.ipam?.leases() ?? []) if (isOthers(lease)) yield lease;
}

function watchesOf(
  { campaign, reports }: Parts,
  services: ServicesFeature | undefined,
  now: number,
): readonly WatchStatus[] {
  const lease = campaign.watch();
  const all = [
    ...(lease === undefined ? [] : [lease]),
    ...(services?.watches() ?? []),
    ...(reports.ipam?.watches() ?? []),
  ];
  return watchStatuses(all, now);
}

/** As the status document shows them. */
export function watchStatuses(all: readonly ReflectorStatus[], now: number): readonly WatchStatus[] {
  return all.map(({ resource, synced, items, relists, lastError, lastHeard }) => {
    return { resource, synced, items, relists, lastError, ageMs: synced ? now - lastHeard : undefined };
  });
}
