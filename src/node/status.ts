import type { AddressReconciler } from './address/reconciler.ts';
import type { AddressRecord } from './address/record.ts';
import type { Advertisements } from './advertisement/advertisements.ts';
import type { Announcement } from './announce/announcements.ts';
import type { Announcer } from './announce/announcer.ts';
import type { Routes } from './route/reconciler.ts';
import type { Guards } from './security/guards.ts';
import { keyOf, type SpecBook } from './spec-book.ts';
import type { SpecState, SpecStatus } from './types.ts';

export interface StatusSources {
  readonly book: SpecBook;
  readonly addresses: AddressReconciler;
  readonly announcer: Announcer;
  /** Undefined where nothing is guarded. */
  readonly guards: Guards | undefined;
  /** Undefined where nothing is routed. */
  readonly routes: Routes | undefined;
  /** Undefined where nothing is advertised. */
  readonly advertisements: Advertisements | undefined;
  readonly now: number;
  readonly isKnown: boolean;
}

/** One entry for each spec that somebody wants, and for each address that could not be removed yet. */
export function buildStatus(sources: StatusSources): readonly SpecStatus[] {
  const { book, addresses, announcer, now } = sources;
  const entries: SpecStatus[] = [];
  for (const spec of book.all()) {
    const key = keyOf(spec);
    if (spec.kind === 'guard') {
      entries.push({ spec, owners: book.ownersOf(key), state: guardState(sources), last: undefined });
      continue;
    }
    const owners = book.ownersOf(key);
    if (sources.guards?.holdsBack(spec.vip) === true) {
      entries.push({ spec, owners, state: waiting('its rules in nftables'), last: undefined });
      continue;
    }
    if (spec.kind === 'route') {
      const { routes } = sources;
      entries.push({ spec, owners, state: routes?.stateOf(key) ?? noRoutes, last: routes?.lastOf(key) });
      continue;
    }
    if (spec.kind === 'advertisement') {
      const state = sources.advertisements?.stateOf(key, spec.vip) ?? noAdvertisements;
      entries.push({ spec, owners, state, last: undefined });
      continue;
    }
    const record = addresses.records.get(key);
    const announcement = announcer.announcements.get(key);
    const known = record ?? announcement;
    entries.push({ spec, owners, state: stateOf(sources, record, announcement), last: known?.last });
  }
  for (const record of addresses.records.all()) {
    if (record.wanted !== undefined) continue;
    entries.push({ spec: record.spec, owners: [], state: addressState(record, now), last: record.last });
  }
  return entries;
}

const noRoutes: SpecState = { state: 'failed', reason: 'this node has no routes', retryInMs: undefined };

const noAdvertisements: SpecState = {
  state: 'failed',
  reason: 'this node speaks no BGP',
  retryInMs: undefined,
};

function guardState({ guards }: StatusSources): SpecState {
  return guards?.state() ?? { state: 'failed', reason: 'this node has no guards', retryInMs: undefined };
}

function stateOf(
  { isKnown, now }: StatusSources,
  record: AddressRecord | undefined,
  announcement: Announcement | undefined,
): SpecState {
  if (!isKnown) return waiting('the first look at the node');
  if (record !== undefined) return addressState(record, now);
  return announcement === undefined ? waiting('its turn') : announcementState(announcement);
}

function addressState({ state, failure }: AddressRecord, now: number): SpecState {
  if (failure !== undefined) {
    const { reason, retryAt } = failure;
    return {
      state: 'failed',
      reason,
      retryInMs: retryAt === undefined ? undefined : Math.max(0, retryAt - now),
    };
  }
  switch (state.kind) {
    case 'present':
      return { state: 'ready' };
    case 'detecting':
      return waiting('duplicate address detection');
    case 'waiting':
      return waiting(state.reason);
    case 'unwanted':
      return waiting('its turn');
  }
}

function announcementState({ obstacle, complaint, last, schedule }: Announcement): SpecState {
  if (obstacle?.kind === 'impossible')
    return { state: 'failed', reason: obstacle.reason, retryInMs: undefined };
  if (obstacle !== undefined) return waiting(obstacle.reason);
  if (complaint !== undefined) return { state: 'failed', reason: complaint, retryInMs: undefined };
  if (last?.what === 'withheld') return waiting('the lease is not held');
  return schedule === undefined ? waiting('its turn') : { state: 'ready' };
}

function waiting(reason: string): SpecState {
  return { state: 'waiting', reason };
}
