import { buildInfo } from '../config/index.ts';
import type { ElectionStatus } from '../election/index.ts';
import type { ReflectorStatus } from '../kube/index.ts';
import type { StatusDocument, WatchStatus } from '../observe/index.ts';
import { formatPrefix } from '../lib/ip.ts';
import { hasControlPlaneElection, modeName } from './mode.ts';
import type { Parts } from './parts.ts';
import type { ServicesFeature } from './services.ts';

/** One snapshot of everything, made on demand for the page, the scrape and the dump. */
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
    vips: node.status().map(({ spec, owners, state }) => ({
      vip: spec.vip,
      link: spec.link,
      kind: spec.kind,
      owners,
      present: node.isPresent(spec.vip),
      state: state.state,
      ...(state.state === 'ready' ? {} : { reason: state.reason }),
    })),
    balancer: parts.reports.balancer?.(),
    ipam: parts.reports.ipam?.status(),
    leases: leasesOf(parts, services),
    peers: (parts.speaker?.status() ?? []).map(({ since, advertised, ...peer }) => ({
      ...peer,
      sinceSeconds: (now - since) / 1000,
      advertised: advertised.map(({ prefix, nextHop }) => ({ prefix: formatPrefix(prefix), nextHop })),
    })),
    watches: watchesOf(parts, services, now),
    timers: clock.timers().map(({ name, at }) => ({ name, inMs: Math.round(at - now) })),
    claimants: parts.news.claimants(),
    counters: parts.metrics.counters(),
  };
}

/** A lease that both features share is listed once. */
function leasesOf(
  { campaign, config, reports }: Parts,
  services: ServicesFeature | undefined,
): readonly ElectionStatus[] {
  const own = hasControlPlaneElection(config) ? [campaign.election.status()] : [];
  const names = new Set(own.map(({ lease }) => lease));
  const others = [...(services?.operator.leases() ?? []), ...(reports.ipam?.leases() ?? [])];
  return [...own, ...others.filter(({ lease }) => lease !== '' && !names.has(lease))];
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
