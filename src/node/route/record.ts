import type { Timer } from '../../lib/clock.ts';
import type { Route } from '../../linux/types.ts';
import { RepairBudget } from '../address/record.ts';
import type { SpecKey, WantedRoute } from '../spec-book.ts';
import type { LastAction, RouteSpec } from '../types.ts';
import type { RouteState } from './plan.ts';

/** What the reconciler remembers of the route to one VIP over one link, from the first wish until it is gone. */
export interface RouteRecord {
  readonly key: SpecKey;
  spec: RouteSpec;
  wanted: WantedRoute | undefined;
  placed: Route | undefined;
  placedTurn: number | undefined;
  /** Monotonic milliseconds of the last write. */
  writtenAt: number;
  /** Turns of our own, added to those that are wanted. */
  extraTurns: number;
  state: RouteState;
  /** It was there and has vanished without our doing. */
  vanished: boolean;
  /** `retryInMs` undefined: at the next dump, or when something changes. */
  failure: { readonly reason: string; readonly retryInMs: number | undefined } | undefined;
  /** The state or failure that was logged last. */
  told: string | undefined;
  /** Failures in a row, for the back-off. */
  attempts: number;
  retry: Timer | undefined;
  readonly repairs: RepairBudget;
  last: LastAction | undefined;
}

export function newRouteRecord(key: SpecKey, spec: RouteSpec): RouteRecord {
  return {
    key,
    spec,
    wanted: undefined,
    placed: undefined,
    placedTurn: undefined,
    writtenAt: 0,
    extraTurns: 0,
    state: { kind: 'unwanted' },
    vanished: false,
    failure: undefined,
    told: undefined,
    attempts: 0,
    retry: undefined,
    repairs: new RepairBudget(),
    last: undefined,
  };
}
