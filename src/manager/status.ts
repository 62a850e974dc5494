import { buildInfo } from '../config/index.ts';
import type { StatusDocument, WatchStatus } from '../observe/index.ts';
import type { Parts } from './parts.ts';

/** One snapshot of everything, made on demand for the page, the scrape and the dump. */
export function buildStatus(parts: Parts, startedAt: number, notReady: readonly string[]): StatusDocument {
  const { clock, node, campaign } = parts;
  const now = clock.now();
  return {
    version: buildInfo.version,
    build: buildInfo.build,
    node: parts.identity,
    pid: process.pid,
    time: new Date(clock.wall()).toISOString(),
    uptimeSeconds: (now - startedAt) / 1000,
    notReady,
    mode: 'ARP',
    vips: node.status().map(({ spec, owners, state }) => ({
      vip: spec.vip,
      link: spec.link,
      kind: spec.kind,
      owners,
      present: node.isPresent(spec.vip),
      state: state.state,
      ...(state.state === 'ready' ? {} : { reason: state.reason }),
    })),
    leases: [campaign.election.status()],
    watches: watchesOf(parts, now),
    timers: clock.timers().map(({ name, at }) => ({ name, inMs: Math.round(at - now) })),
    claimants: parts.news.claimants(),
    counters: parts.metrics.counters(),
  };
}

function watchesOf({ campaign }: Parts, now: number): readonly WatchStatus[] {
  const watch = campaign.watch();
  if (watch === undefined) return [];
  const { resource, synced, items, relists, lastError, lastHeard } = watch;
  return [{ resource, synced, items, relists, lastError, ageMs: synced ? now - lastHeard : undefined }];
}
