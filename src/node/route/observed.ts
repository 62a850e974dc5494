import { hostLength, type Ip } from '../../lib/ip.ts';
import type { Route } from '../../linux/types.ts';
import { ifindexOf, routeId, type RouteForm } from './form.ts';

interface Change {
  readonly change: 'set' | 'gone';
  readonly route: Route;
}

/**
 * What the kernel has told about our table: the routes that are ours, and those to single addresses,
 * which may stand in the way. A dump, brought up to date by events and by our own successful writes,
 * which count at once. Events that were queued before one of our removals arrive after it; they are
 * told from later ones by the removal's own event.
 */
export class ObservedRoutes {
  private readonly form: RouteForm;
  private readonly routes = new Map<string, Route>();
  private readonly byVip = new Map<Ip, Set<string>>();
  /** Our removals whose events are still on their way. */
  private readonly expectedGone = new Map<string, number>();
  /** Changes since a dump began: the dump may be older than they are. */
  private journal: Change[] | undefined;

  constructor(form: RouteForm) {
    this.form = form;
  }

  /** The routes to this one address, by priority or of whatever owner. */
  to(vip: Ip): readonly Route[] {
    return [...(this.byVip.get(vip) ?? [])].flatMap((id) => this.routes.get(id) ?? []);
  }

  /** All routes that carry our mark, whatever their destination. */
  ours(): readonly Route[] {
    return [...this.routes.values()].filter(({ protocol }) => protocol === this.form.protocol);
  }

  /** From an event. False when it is not about our table, or only echoes what is known already. */
  heard(change: 'set' | 'gone', route: Route): boolean {
    if (!this.concerns(route)) return false;
    const id = routeId(route);
    const pending = this.expectedGone.get(id);
    if (pending !== undefined) {
      if (change === 'gone' && pending === 1) this.expectedGone.delete(id);
      else if (change === 'gone') this.expectedGone.set(id, pending - 1);
      return false;
    }
    const known = this.routes.get(id);
    // Linux can have several IPv4 routes that differ in their next hop only; we follow the newest.
    if (change === 'gone' && known !== undefined && !isSame(known, route)) return false;
    this.apply({ change, route });
    return true;
  }

  wrote(route: Route): void {
    this.apply({ change: 'set', route });
  }

  /** Our own removal succeeded; its event is still to come. */
  removed(route: Route): void {
    const id = routeId(route);
    this.expectedGone.set(id, (this.expectedGone.get(id) ?? 0) + 1);
    this.apply({ change: 'gone', route });
  }

  /** It is not there, and no event will say so. */
  lost(route: Route): void {
    this.apply({ change: 'gone', route });
  }

  dumpStarted(): void {
    this.journal = [];
  }

  dumpFailed(): void {
    this.journal = undefined;
  }

  /** Replaces everything by the dump, and repeats what happened while it was taken. */
  dumpDone(routes: readonly Route[]): void {
    const journal = this.journal ?? [];
    this.journal = undefined;
    this.routes.clear();
    this.byVip.clear();
    // What was removed before the dump is not in it: an event that has not come yet says nothing new.
    this.expectedGone.clear();
    for (const route of routes) if (this.concerns(route)) this.apply({ change: 'set', route });
    for (const change of journal) this.apply(change);
  }

  private concerns({ table, protocol, destination }: Route): boolean {
    if (table !== this.form.table) return false;
    return protocol === this.form.protocol || (destination !== undefined && isHost(destination));
  }

  private apply(change: Change): void {
    this.journal?.push(change);
    const { route } = change;
    const id = routeId(route);
    if (change.change === 'set') this.routes.set(id, route);
    else this.routes.delete(id);
    if (route.destination === undefined || !isHost(route.destination)) return;
    const ids = this.byVip.get(route.destination.address) ?? new Set();
    if (change.change === 'set') ids.add(id);
    else ids.delete(id);
    if (ids.size > 0) this.byVip.set(route.destination.address, ids);
    else this.byVip.delete(route.destination.address);
  }
}

function isHost({ address, length }: NonNullable<Route['destination']>): boolean {
  return length === hostLength(address);
}

function isSame(a: Route, b: Route): boolean {
  return a.protocol === b.protocol && a.type === b.type && ifindexOf(a) === ifindexOf(b);
}
