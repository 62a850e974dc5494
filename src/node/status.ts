import type { AddressReconciler } from './address/reconciler.ts';
import type { AddressRecord } from './address/record.ts';
import type { Advertisements } from './advertisement/advertisements.ts';
import type { Announcement } from './announce/announcements.ts';
import type { Announcer } from './announce/announcer.ts';
import type { Routes } from './route/reconciler.ts';
import type { Guards } from './security/guards.ts';
import { keyOf, type SpecBook } from './spec-book.ts';
import type { Spec, SpecState, SpecStatus } from './types.ts';

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
export function* specStatuses(sources: StatusSources): Generator<SpecStatus> {
  for (const spec of sources.book.all()) yield statusOf(spec, sources);
  for (const record of sources.addresses.records.all()) {
    if (record.wanted !== undefined) continue;
    yield { spec: record.spec, owners: [], state: addressState(record, sources.now), last: record.last };
  }
}

function statusOf(spec: Spec, sources: StatusSources): SpecStatus {
  const { book, addresses, announcer } = sources;
  const key = keyOf(spec);
  const owners = book.ownersOf(key);
  if (spec.kind === 'guard') return { spec, owners, state: guardState(sources), last: undefined };
  if (sources.guards?.holdsBack(spec.vip) === true)
    return { spec, owners, state: waiting('its rules in nftables'), last: undefined };
  if (spec.kind === 'route') {
    const { routes } = sources;
    return { spec, owners, state: routes?.stateOf(key) ?? noRoutes, last: routes?.lastOf(key) };
  }
  if (spec.kind === 'advertisement') {
    const state = sources.advertisements?.stateOf(key, spec.vip) ?? noAdvertisements;
    return { spec, owners, state, last: undefined };
  }
  const record = addresses.records.get(key);
  const announcement = announcer.announcements.get(key);
  const known = record ?? announcement;
  return { spec, owners, state: stateOf(sources, record, announcement), last: known?.last };
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
