import type { Clock, Random } from '../../lib/clock.ts';
import type { Ip } from '../../lib/ip.ts';
import type { Logger } from '../../lib/log.ts';
import type { KernelError } from '../../linux/errors.ts';
import type { Address, AddressKey, AddressRequest } from '../../linux/types.ts';
import type { MutableCounters } from '../counters.ts';
import { isMarked } from '../mark.ts';
import type { Observed } from '../observed.ts';
import type { Keyed, SpecBook } from '../spec-book.ts';
import type { AddressSpec, LastAction, NodeObserver } from '../types.ts';
import { Again } from './again.ts';
import { expectedAddress, planAddress, type AddressPlan } from './plan.ts';
import { addPlaced, dropPlaced, hasPlaced, naming, type AddressRecord } from './record.ts';
import { AddressRecords } from './records.ts';
import { removeAddresses } from './removal.ts';
import type { AddressKernel } from './stand-ins.ts';
import { Turns } from './turns.ts';

export interface AddressReconcilerParts {
  readonly kernel: AddressKernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observer: NodeObserver;
  readonly observed: Observed;
  readonly book: SpecBook;
  readonly counters: MutableCounters;
  /** A VIP has become usable: its neighbours should hear of it now. */
  readonly onUsable: (vip: Ip) => void;
}

/** A tenure that was about to end is looked at again after half of this: it may have been prolonged. */
const LITTLE_LEFT_S = 0.5;

interface Job {
  readonly record: AddressRecord;
  readonly plan: AddressPlan;
  /** The address that should be there could not be written. */
  setFailed: boolean;
}

/**
 * Makes the wanted addresses true: plans each record against what is observed, writes the
 * difference, and tells what became of it. Everything is synchronous and cut into turns.
 */
export class AddressReconciler {
  readonly records = new AddressRecords();
  private readonly parts: AddressReconcilerParts;
  private readonly turns: Turns;
  private readonly again: Again;
  /** Callbacks to others, made when our own state is settled again. */
  private news: (() => void)[] = [];

  constructor(parts: AddressReconcilerParts) {
    this.parts = parts;
    this.turns = new Turns({
      clock: parts.clock,
      handle: (records) => this.runChunk(records),
      done: () => this.tell(),
    });
    this.again = new Again({ ...parts, run: (record) => this.turns.runAll([record]) });
  }

  /** What these specs name has changed owners. Removals are done on return; many additions take several turns. */
  specsChanged(changed: readonly Keyed<AddressSpec>[]): void {
    const wanted: AddressRecord[] = [];
    const unwanted: AddressRecord[] = [];
    for (const { key, spec } of changed) {
      const next = this.parts.book.address(key);
      const record = this.records.get(key) ?? (next && this.records.enter(key, spec));
      if (record === undefined) continue;
      record.wanted = next;
      record.spec = spec;
      (next === undefined ? unwanted : wanted).push(record);
    }
    // Add before delete, so that a VIP that changes its link is never on none.
    this.turns.runInTurn(wanted);
    if (this.turns.isBusy) this.turns.runAll(unwanted.flatMap(({ vip }) => this.waiting(vip)));
    this.turns.runAll(unwanted);
  }

  private waiting(vip: Ip): readonly AddressRecord[] {
    return this.records.ofVip(vip).filter((record) => this.turns.waits(record));
  }

  /** The kernel reported an address. */
  addressChanged(address: Address, change: 'set' | 'gone'): void {
    const records = this.records.ofVip(address.address);
    if (change === 'gone') for (const record of records) dropPlaced(record, address);
    this.turns.runAll(records);
  }

  linkChanged(name: string): void {
    this.turns.runInTurn(this.records.ofLink(name));
  }

  /** A new dump is in. Where no event was lost it is an insurance, and waits behind what is to be done. */
  recheckAll(eventsLost: boolean): void {
    const { observed } = this.parts;
    const all = this.records.all();
    for (const record of all) {
      const isThere = (key: AddressKey): boolean => observed.find(key) !== undefined;
      if (!record.placed.every(isThere)) record.placed = record.placed.filter(isThere);
    }
    if (eventsLost) this.turns.runInTurn(all);
    else this.turns.check(all);
  }

  /** Marked, or put there by this process. */
  owns(address: Address): boolean {
    return isMarked(address) || this.records.ofVip(address.address).some((r) => hasPlaced(r, address));
  }

  /** Somebody wants it on this link, and it may be added now. */
  mayAdd({ address, ifindex }: AddressKey): boolean {
    const link = this.parts.observed.linkAt(ifindex)?.name;
    return this.records.ofVip(address).some((r) => r.link === link && r.wanted?.mayAdd() === true);
  }

  /** A spec asks for it, or it is being removed already: no leftover. */
  concerns(address: Address): boolean {
    const link = this.parts.observed.linkAt(address.ifindex)?.name;
    return this.records.ofVip(address.address).some((r) => r.link === link || hasPlaced(r, address));
  }

  /** Records wait for their turn, and not only to be checked. */
  get isBusy(): boolean {
    return this.turns.isBusy;
  }

  close(): void {
    this.turns.close();
    for (const record of this.records.all()) {
      record.retry?.cancel();
      record.refresh?.cancel();
    }
  }

  private tell(): void {
    const news = this.news;
    this.news = [];
    for (const tell of news) tell();
  }

  private runChunk(records: readonly AddressRecord[]): void {
    const jobs: Job[] = [];
    for (const record of records) {
      const plan = this.planFor(record);
      if (plan !== undefined) jobs.push({ record, plan, setFailed: false });
    }
    this.remove(jobs, (plan) => plan.removeFirst);
    // What still stands in the way would be changed in place, and only half.
    for (const job of jobs) job.setFailed = job.plan.set !== undefined && job.record.failure !== undefined;
    this.set(jobs);
    this.remove(jobs, (plan) => plan.removeAfter);
    for (const job of jobs) this.conclude(job);
  }

  /** Undefined when nothing may be done now: the record waits until it may be repaired again. */
  private planFor(record: AddressRecord): AddressPlan | undefined {
    record.retry?.cancel();
    record.retry = undefined;
    record.failure = undefined;
    const { wanted, placed, mayMark } = record;
    const { observed } = this.parts;
    const isDue = wanted?.validLifetime !== undefined && record.refresh === undefined;
    const plan = planAddress({
      wanted,
      link: observed.linkNamed(record.link),
      observed: observed.addressesOf(record.vip),
      placed,
      // It was ours and through with detection until a moment ago: waiting for it again teaches nothing.
      skipDad: record.skipDad || record.ready,
      mayMark,
      renew: isDue && wanted.validLifetime !== 0,
    });
    if (isDue && plan.keep !== undefined && plan.set === undefined)
      this.again.beforeEnd(record, LITTLE_LEFT_S);
    if (plan.keep !== undefined) this.keep(record, plan, plan.keep);
    if (plan.set === undefined) return plan;
    if (record.ready && plan.set.reason === 'missing') this.vanish(record);
    const waitMs = record.repairs.take(this.parts.clock.now());
    if (waitMs === 0) return plan;
    this.again.failed(record, 'something else on this node removes or changes it again and again', waitMs);
    return undefined;
  }

  private keep(record: AddressRecord, plan: AddressPlan, key: AddressKey): void {
    if (hasPlaced(record, key)) return;
    addPlaced(record, key);
    if (record.ready) return;
    if (plan.set?.reason !== 'unmarked') this.note(record, 'adopted');
    this.parts.log.info('VIP of a predecessor adopted', naming(record));
  }

  private set(jobs: readonly Job[]): void {
    const asked: Job[] = [];
    const requests: AddressRequest[] = [];
    for (const job of jobs) {
      const { set } = job.plan;
      if (set === undefined || job.setFailed) continue;
      asked.push(job);
      requests.push(set.request);
    }
    if (asked.length === 0) return;
    const errors = this.parts.kernel.setAddresses(requests);
    asked.forEach((job, i) => {
      const request = requests[i];
      const error = errors[i];
      if (request === undefined) return;
      if (error === undefined || error.kind === 'already') {
        this.wasSet(job, request);
      } else {
        job.setFailed = true;
        this.refused(job.record, error);
      }
    });
  }

  private wasSet({ record, plan }: Job, request: AddressRequest): void {
    this.parts.observed.wrote(expectedAddress(request, plan.state.kind === 'detecting'));
    addPlaced(record, request);
    record.attempts = 0;
    const reason = plan.set?.reason;
    if (reason === 'unmarked') record.mayMark = false;
    if (reason === 'dad-failed') {
      record.skipDad = true;
      const message = 'duplicate address detection failed: VIP added again without it';
      this.parts.log.warn(message, naming(record));
    }
    this.note(record, actionFor(record, plan));
    this.again.beforeEnd(record, request.validLifetime);
  }

  private remove(jobs: readonly Job[], keysOf: (plan: AddressPlan) => readonly AddressKey[]): void {
    const leaving = jobs.filter(({ plan }) => keysOf(plan).length > 0);
    if (leaving.length === 0) return;
    const keys = leaving.flatMap(({ plan }) => keysOf(plan));
    const failures = removeAddresses(this.parts.kernel, this.parts.observed, keys);
    for (const { record, plan } of leaving) {
      for (const key of keysOf(plan)) {
        const error = failures.get(key);
        if (error === undefined) {
          dropPlaced(record, key);
          if (record.wanted === undefined) this.note(record, 'removed');
        } else {
          addPlaced(record, key);
          this.refused(record, error);
        }
      }
    }
  }

  private conclude({ record, plan, setFailed }: Job): void {
    record.state = plan.state;
    if (record.failure === undefined) record.logged = undefined;
    if (record.wanted === undefined) {
      record.ready = false;
      this.hold(record, undefined);
      if (record.placed.length === 0) this.records.leave(record);
      return;
    }
    if (setFailed && plan.keep === undefined) {
      record.ready = false;
      return;
    }
    this.warnForeign(record);
    if (record.state.kind === 'present') this.becomeReady(record);
    else if (record.ready && record.state.kind === 'waiting') this.vanish(record);
    if (record.state.kind !== 'present') record.ready = false;
    if (record.state.kind === 'waiting' && record.state.for === 'lease') {
      // Whoever holds next may have used it: everything starts anew.
      record.vanished = false;
      record.skipDad = false;
    }
  }

  private vanish(record: AddressRecord): void {
    record.ready = false;
    record.vanished = true;
    record.skipDad = true;
  }

  private becomeReady(record: AddressRecord): void {
    if (record.ready) return;
    record.ready = true;
    this.hold(record, undefined);
    this.parts.onUsable(record.vip);
    const { observer, log, counters } = this.parts;
    const { vip, link } = record;
    if (record.vanished) {
      record.vanished = false;
      counters.restored++;
      log.warn('VIP had vanished from its link, put back', naming(record));
      this.news.push(() => observer.addressRestored?.(vip, link));
    } else {
      log.info('VIP is on its link', naming(record));
    }
    if (observer.addressReady !== undefined) this.news.push(() => observer.addressReady?.(vip, link));
  }

  private warnForeign(record: AddressRecord): void {
    if (record.state.kind !== 'present' || !record.state.foreign || record.warnedForeign) return;
    record.warnedForeign = true;
    const message = 'the VIP is an address of this node already: left as it is, and never removed';
    this.parts.log.warn(message, naming(record));
  }

  private note(record: AddressRecord, what: LastAction['what']): void {
    record.last = { what, at: this.parts.clock.now() };
    const { counters } = this.parts;
    if (what === 'added' || what === 'adopted' || what === 'removed') counters[what]++;
  }

  private refused(record: AddressRecord, error: KernelError): void {
    this.parts.counters.failed++;
    this.note(record, 'failed');
    const { vip, link } = record;
    this.news.push(() => this.parts.observer.addressFailed?.(vip, link, error));
    const passes = this.again.refused(record, error);
    if (!passes && record.wanted !== undefined) this.hold(record, error.message);
  }

  /** Tells others when it begins, and when it is over. */
  private hold(record: AddressRecord, problem: string | undefined): void {
    if (record.isHeld === (problem !== undefined)) return;
    record.isHeld = problem !== undefined;
    this.news.push(() => this.parts.observer.heldBack?.(record.vip, 'link', problem));
  }
}

function actionFor(record: AddressRecord, plan: AddressPlan): LastAction['what'] {
  if (record.vanished) return 'restored';
  if (plan.set?.reason === 'missing') return 'added';
  return plan.set?.reason === 'unmarked' ? 'adopted' : 'changed';
}
