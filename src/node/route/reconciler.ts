import { backoffMs } from '../../lib/backoff.ts';
import type { Clock, Random, Timer } from '../../lib/clock.ts';
import { familyOf, type Ip } from '../../lib/ip.ts';
import type { LogFields, Logger } from '../../lib/log.ts';
import type { KernelError } from '../../linux/errors.ts';
import type { Address, Kernel, Route } from '../../linux/types.ts';
import type { MutableCounters } from '../counters.ts';
import type { Observed } from '../observed.ts';
import { keyOf, ofKind, type Keyed, type SpecBook, type SpecKey } from '../spec-book.ts';
import type { LastAction, RouteSpec, SpecState } from '../types.ts';
import { ifindexOf, type RouteForm } from './form.ts';
import { planRoute, type RoutePlan } from './plan.ts';
import { newRouteRecord, type RouteRecord } from './record.ts';
import { RouteTable } from './table.ts';

export interface RoutesParts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Of links and addresses. */
  readonly observed: Observed;
  readonly book: SpecBook;
  readonly counters: MutableCounters;
}

/** Routes written again in one turn; daemons that lost events should not lose these as well. */
const reassertAtOnce = 64;
const reassertPauseMs = 20;
const retryBackoff = { baseMs: 50, maxMs: 5000 };

/**
 * Makes the wanted routes true: one record for each VIP and link, planned against what is observed.
 * Linux drops IPv4 routes without a word when their link goes down or loses its last address, so our
 * table is looked at anew after either.
 */
export class Routes {
  private readonly parts: RoutesParts;
  private readonly form: RouteForm;
  private readonly table: RouteTable;
  private readonly records = new Map<SpecKey, RouteRecord>();
  private readonly byVip = new Map<Ip, Set<RouteRecord>>();
  private nextReassert: Timer | undefined;

  constructor(parts: RoutesParts, form: RouteForm) {
    this.parts = parts;
    this.form = form;
    this.table = new RouteTable(parts, form, {
      changed: (route, change) => {
        this.changed(route, change);
      },
      dumped: (isFirst) => {
        this.dumped(isFirst);
      },
    });
  }

  /** Rejects with KernelError when routes cannot be watched or dumped. */
  start(): Promise<void> {
    return this.table.start();
  }

  close(): void {
    this.table.close();
    this.nextReassert?.cancel();
    for (const record of this.records.values()) record.retry?.cancel();
  }

  /** Called after addresses have changed: what these specs want is routed on return. */
  specsWanted(changed: readonly Keyed[]): void {
    this.run(this.recordsFor(changed).filter(({ wanted }) => wanted !== undefined));
  }

  /** Called before addresses change: nothing leads any more to a VIP that nobody wants. */
  specsUnwanted(changed: readonly Keyed[]): void {
    const gone = this.recordsFor(changed).filter(({ wanted }) => wanted === undefined);
    this.run(gone);
    // The same VIP over another link had to wait for these.
    for (const { spec } of gone) this.run(this.recordsOf(spec.vip));
  }

  linkChanged(name: string): void {
    const records = [...this.records.values()].filter(({ spec }) => spec.link === name);
    if (records.length === 0) return;
    this.run(records);
    this.lookAgain();
  }

  addressGone({ address }: Address): void {
    if (familyOf(address) === 4 && this.records.size > 0) this.lookAgain();
  }

  /** Dumps our table, and repairs. */
  lookAgain(): void {
    this.table.lookAgain();
  }

  /**
   * Writes again what was not written after `since` (monotonic milliseconds), with the other realm:
   * routing daemons lose events when many come at once.
   */
  reassert(since: number): void {
    const due = [...this.records.values()].filter(
      ({ state, writtenAt }) => state.kind === 'present' && writtenAt <= since,
    );
    this.reassertSome(due);
  }

  /** Removes routes with our mark that no spec wants and the filter picks; returns what is gone. */
  sweep(filter: (route: Route) => boolean): readonly Route[] {
    if (!this.table.isKnown()) return [];
    const { book, observed } = this.parts;
    // A spec that waits for its turn has no record yet.
    const isWanted = ({ destination, nextHops }: Route): boolean =>
      destination !== undefined &&
      (this.byVip.has(destination.address) ||
        nextHops.some(({ ifindex }) => {
          const link = ifindex === undefined ? '' : (observed.linkAt(ifindex)?.name ?? '');
          return book.has(keyOf({ kind: 'route', link, vip: destination.address }));
        }));
    const picked = this.table.ours().filter((route) => !isWanted(route) && filter(route));
    return picked.filter((route) => this.sweepOne(route));
  }

  stateOf(key: SpecKey): SpecState {
    const record = this.records.get(key);
    if (record === undefined) return { state: 'waiting', reason: 'its turn' };
    const { failure, state } = record;
    if (failure !== undefined) return { state: 'failed', ...failure };
    switch (state.kind) {
      case 'present':
        return { state: 'ready' };
      case 'blocked':
        return { state: 'failed', reason: state.reason, retryInMs: undefined };
      case 'waiting':
        return { state: 'waiting', reason: state.reason };
      case 'unwanted':
        return { state: 'waiting', reason: 'its turn' };
    }
  }

  lastOf(key: SpecKey): LastAction | undefined {
    return this.records.get(key)?.last;
  }

  private reassertSome(due: readonly RouteRecord[]): void {
    const now = due.slice(0, reassertAtOnce).filter(({ wanted }) => wanted !== undefined);
    for (const record of now) record.extraTurns++;
    this.run(now);
    const rest = due.slice(reassertAtOnce);
    this.nextReassert?.cancel();
    if (rest.length === 0) return;
    this.nextReassert = this.parts.clock.after('route-reassert', reassertPauseMs, () => {
      this.reassertSome(rest);
    });
  }

  private recordsFor(changed: readonly Keyed[]): readonly RouteRecord[] {
    return ofKind(changed, 'route').flatMap((each) => this.enter(each) ?? []);
  }

  private recordsOf(vip: Ip): readonly RouteRecord[] {
    return [...(this.byVip.get(vip) ?? [])];
  }

  private enter({ key, spec }: Keyed<RouteSpec>): RouteRecord | undefined {
    const wanted = this.parts.book.route(key);
    const known = this.records.get(key);
    if (known === undefined && wanted === undefined) return undefined;
    const record = known ?? newRouteRecord(key, spec);
    record.spec = spec;
    record.wanted = wanted;
    this.records.set(key, record);
    this.byVip.set(spec.vip, (this.byVip.get(spec.vip) ?? new Set()).add(record));
    return record;
  }

  private leave(record: RouteRecord): void {
    const { vip } = record.spec;
    this.records.delete(record.key);
    const others = this.byVip.get(vip);
    others?.delete(record);
    if (others?.size === 0) this.byVip.delete(vip);
  }

  private changed({ destination }: Route, change: 'set' | 'gone'): void {
    if (destination === undefined) return;
    const records = this.recordsOf(destination.address);
    if (change === 'gone') for (const record of records) vanish(record);
    this.run(records);
  }

  private dumped(isFirst: boolean): void {
    const all = [...this.records.values()];
    for (const record of isFirst ? [] : all) {
      const via = record.placed && ifindexOf(record.placed);
      if (!this.table.to(record.spec.vip).some((route) => ifindexOf(route) === via)) vanish(record);
    }
    this.run(all);
  }

  private run(records: readonly RouteRecord[]): void {
    if (this.table.isKnown()) for (const record of records) this.runOne(record);
  }

  private runOne(record: RouteRecord): void {
    record.retry?.cancel();
    record.failure = undefined;
    const { set, remove, state } = this.planFor(record);
    record.state = state;
    const isDone =
      (set === undefined || this.write(record, set)) &&
      (remove === undefined || this.takeAway(record, remove));
    if (isDone) this.tell(record);
    if (record.wanted === undefined && record.placed === undefined) this.leave(record);
  }

  private planFor(record: RouteRecord): RoutePlan {
    const { wanted, spec, placed, placedTurn } = record;
    const { observed, book } = this.parts;
    return planRoute({
      wanted: wanted && { ...wanted, turn: turnOf(record) },
      form: this.form,
      link: observed.linkNamed(spec.link),
      observed: this.table.to(spec.vip),
      placed,
      placedTurn: placed === undefined ? undefined : placedTurn,
      isWantedVia: (ifindex) => {
        const link = observed.linkAt(ifindex)?.name;
        return link !== undefined && book.has(keyOf({ kind: 'route', link, vip: spec.vip }));
      },
    });
  }

  private write(record: RouteRecord, { route, reason }: NonNullable<RoutePlan['set']>): boolean {
    const waitMs = reason === 'touched' ? 0 : record.repairs.take(this.parts.clock.now());
    if (waitMs > 0) {
      return this.fail(record, 'somebody keeps changing the route', waitMs);
    }
    const error = this.table.set(route);
    if (error !== undefined) return this.refused(record, error);
    const isNew = record.placed === undefined;
    record.placed = route;
    record.placedTurn = turnOf(record);
    record.writtenAt = this.parts.clock.now();
    record.attempts = 0;
    this.parts.counters.routesSet++;
    if (record.vanished) this.note(record, 'restored');
    else if (!isNew) this.note(record, reason === 'touched' ? 'sent' : 'changed');
    else this.note(record, reason === 'missing' ? 'added' : 'adopted');
    return true;
  }

  private takeAway(record: RouteRecord, route: Route): boolean {
    const error = this.table.remove(route);
    if (error !== undefined) return this.refused(record, error);
    record.placed = undefined;
    this.parts.counters.routesRemoved++;
    this.note(record, 'removed');
    return true;
  }

  private sweepOne(route: Route): boolean {
    const { log, counters } = this.parts;
    const error = this.table.remove(route);
    const { address, length } = route.destination ?? { address: 'default', length: 0 };
    const fields = { route: `${address}/${length}`, table: route.table };
    if (error !== undefined) {
      log.error('route that nobody wants cannot be removed', { ...fields, error: error.message });
      return false;
    }
    counters.routesSwept++;
    log.info('route that nobody wants removed', fields);
    return true;
  }

  private note(record: RouteRecord, what: LastAction['what']): void {
    record.last = { what, at: this.parts.clock.now() };
  }

  /** Each change of state once. */
  private tell(record: RouteRecord): void {
    const { state } = record;
    const { log, counters } = this.parts;
    const told = 'reason' in state ? state.reason : state.kind;
    if (state.kind === 'present' && record.vanished) {
      counters.routesRestored++;
      record.vanished = false;
      log.warn('route had vanished, put back', naming(record));
    } else if (record.told !== told) {
      if (state.kind === 'present') log.info('VIP is routed', { ...naming(record), table: this.form.table });
      if (state.kind === 'blocked') log.error('VIP cannot be routed', { ...naming(record), reason: told });
    }
    record.told = told;
  }

  private refused(record: RouteRecord, error: KernelError): false {
    const { counters, random } = this.parts;
    counters.routesFailed++;
    record.attempts++;
    this.note(record, 'failed');
    // What only an operator can change is tried again with the next dump, not in a loop.
    const mayPass = error.kind === 'retry' || error.kind === 'gone';
    return this.fail(
      record,
      error.message,
      mayPass ? backoffMs(record.attempts, retryBackoff, random) : undefined,
    );
  }

  private fail(record: RouteRecord, reason: string, retryInMs: number | undefined): false {
    const { clock, log } = this.parts;
    record.failure = { reason, retryInMs };
    if (record.told !== reason) {
      const task = record.wanted === undefined ? 'removed' : 'set';
      log.error(`route cannot be ${task}, trying again`, { ...naming(record), error: reason, retryInMs });
    }
    record.told = reason;
    if (retryInMs === undefined) return false;
    record.retry = clock.after('route-retry', retryInMs, () => {
      this.run([record]);
    });
    return false;
  }
}

function turnOf({ wanted, extraTurns }: RouteRecord): number {
  return (wanted?.turn ?? 0) + extraTurns;
}

/** It is not where it was put, and that was not our doing. */
function vanish(record: RouteRecord): void {
  if (record.placed === undefined) return;
  record.placed = undefined;
  record.vanished = true;
}

function naming({ spec }: RouteRecord): LogFields {
  return { vip: spec.vip, link: spec.link };
}
