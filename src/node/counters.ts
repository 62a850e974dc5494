import type { NodeCounters } from './types.ts';

export type MutableCounters = { -readonly [K in keyof NodeCounters]: NodeCounters[K] };

export function newCounters(): MutableCounters {
  return {
    added: 0,
    adopted: 0,
    restored: 0,
    removed: 0,
    swept: 0,
    failed: 0,
    framesSent: 0,
    framesFailed: 0,
    framesWithheld: 0,
    claimantsReported: 0,
    claimantsFolded: 0,
    framesRefused: 0,
    dumps: 0,
    routesSet: 0,
    routesRemoved: 0,
    routesRestored: 0,
    routesSwept: 0,
    routesFailed: 0,
  };
}
