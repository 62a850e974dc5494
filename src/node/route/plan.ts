import type { Link, Route } from '../../linux/types.ts';
import type { WantedRoute } from '../spec-book.ts';
import { ifindexOf, looksLike, mayReplace, routeId, routeTo, type RouteForm } from './form.ts';

/** Everything that decides what becomes of the route to one VIP over one link. */
export interface RouteView {
  /** Undefined: nobody wants it any more. */
  readonly wanted: WantedRoute | undefined;
  readonly form: RouteForm;
  /** The link of that name, if there is one now. */
  readonly link: Link | undefined;
  /** Every route in our table to the VIP alone, whoever put it there. */
  readonly observed: readonly Route[];
  /** What this process wrote last, or adopted, and has not seen going. */
  readonly placed: Route | undefined;
  /** The turn of which it was written. */
  readonly placedTurn: number | undefined;
  /** A route of ours over another link is wanted by somebody else. */
  readonly isWantedVia: (ifindex: number) => boolean;
}

/** Why a route is written: `touched` is there already, and is to be noticed again. */
export type RouteSetReason = 'missing' | 'changed' | 'migrated' | 'touched';

export type RouteState =
  | { readonly kind: 'present' }
  | { readonly kind: 'waiting'; readonly for: 'link' | 'lease'; readonly reason: string }
  | { readonly kind: 'blocked'; readonly reason: string }
  /** Nobody wants it. */
  | { readonly kind: 'unwanted' };

export interface RoutePlan {
  readonly state: RouteState;
  readonly set: { readonly route: Route; readonly reason: RouteSetReason } | undefined;
  readonly remove: Route | undefined;
}

export function planRoute(view: RouteView): RoutePlan {
  const { wanted, link, placed } = view;
  if (wanted === undefined) return plan({ kind: 'unwanted' }, { remove: placed });
  const off = whyOff(wanted.link, link);
  if (link === undefined || off !== undefined) {
    return plan({ kind: 'waiting', for: 'link', reason: off ?? '' }, { remove: placed });
  }
  const route = routeTo(wanted.vip, link, view.form, wanted.turn);
  const there = view.observed.find((other) => routeId(other) === routeId(route));
  if (there === undefined) {
    if (wanted.maySet()) return plan({ kind: 'present' }, { set: { route, reason: 'missing' } });
    return plan({ kind: 'waiting', for: 'lease', reason: 'the lease is not held' }, {});
  }
  const obstacle = whyBlocked(view, there, route);
  if (obstacle !== undefined) return plan({ kind: 'blocked', reason: obstacle }, {});
  // Without tenure nothing is written; what stands is for whoever sweeps or withdraws.
  if (!wanted.maySet()) return plan({ kind: 'present' }, {});
  const reason = whySet(view, wanted, there, route);
  return plan({ kind: 'present' }, { set: reason === undefined ? undefined : { route, reason } });
}

/** Linux takes no route over a link that is down. */
function whyOff(name: string, link: Link | undefined): string | undefined {
  if (link === undefined) return `no link ${name}`;
  return link.adminUp ? undefined : `link ${name} is down`;
}

function whyBlocked(view: RouteView, there: Route, route: Route): string | undefined {
  if (!mayReplace(there, route))
    return `a route of protocol ${there.protocol} is in the way; remove it, or use another table`;
  const via = ifindexOf(there);
  if (via === undefined || via === ifindexOf(route) || !view.isWantedVia(via)) return undefined;
  return 'the VIP is routed over another link already';
}

function whySet(
  view: RouteView,
  wanted: WantedRoute,
  there: Route,
  route: Route,
): RouteSetReason | undefined {
  if (there.protocol !== route.protocol) return 'migrated';
  if (!looksLike(there, route)) return 'changed';
  return view.placedTurn === wanted.turn ? undefined : 'touched';
}

function plan(state: RouteState, steps: Partial<Omit<RoutePlan, 'state'>>): RoutePlan {
  return { state, set: undefined, remove: undefined, ...steps };
}
