import type { Clock, Random, Timer } from '../lib/clock.ts';
import { InvariantError, messageOf } from '../lib/errors.ts';
import type { Fence } from '../lib/fence.ts';
import type { Logger } from '../lib/log.ts';
import { initialState, step as electionStep } from './machine/machine.ts';
import type { Step } from './machine/machine.ts';
import type {
  CallOperation,
  Effect,
  Event,
  MachineSettings,
  Reason,
  State,
  TimerName,
} from './machine/types.ts';
import type { ElectionObserver } from './observer.ts';
import { StoreError } from './store.ts';
import type { LeaseStore, StoredLease, StoreErrorKind } from './store.ts';
import { checkTimings } from './timings.ts';
import type { Election, ElectionListener, ElectionStatus, LossReason } from './types.ts';

export interface ElectionComponents {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observer?: ElectionObserver;
  /** The machine; replaced only to show that the tests would notice a wrong one. */
  readonly step?: Step;
}

/** Long enough to put thousands of VIPs on the node; those that come later are nobody's legacy. */
const handOverMs = 5000;

/** A tenure as the fence sees it. */
interface Tenure {
  validUntil: number;
}

/** Runs one machine: takes one event at a time, steps, carries out the effects in order. */
class Driver implements Election {
  private readonly parts: ElectionComponents;
  private readonly settings: MachineSettings;
  private readonly log: Logger;
  private readonly step: Step;
  private state: State = initialState;
  private readonly mailbox: Event[] = [];
  /** Those of the last step that were not carried out yet. */
  private effects: Effect[] = [];
  /** Something is being handled, or waited for. */
  private draining = false;
  private readonly timers = new Map<TimerName, Timer>();
  private call: AbortController | undefined;
  private tenure: Tenure | undefined;
  /** The record that the claim on its way was made on named nobody: who held had withdrawn and released. */
  private claimsReleased = false;
  private renewedAt: number | undefined;
  private lastReason: Reason | 'never started' = 'never started';
  private lastError: { readonly operation: CallOperation; readonly text: string } | undefined;
  /** Since somebody was last seen to hold. */
  private hasLostRace = false;
  private listener: ElectionListener | undefined;
  private finish: (() => void) | undefined;
  private fail: ((error: unknown) => void) | undefined;

  constructor(parts: ElectionComponents, settings: MachineSettings) {
    this.parts = parts;
    this.settings = settings;
    this.log = parts.log.child('election');
    this.step = parts.step ?? electionStep;
  }

  async run(listener: ElectionListener, signal: AbortSignal): Promise<void> {
    if (this.listener !== undefined) throw new InvariantError('this election is already running');
    const watch = new AbortController();
    const stop = (): void => {
      this.post({ kind: 'stop' });
    };
    this.listener = listener;
    this.state = initialState;
    const ended = new Promise<void>((resolve, reject) => {
      this.finish = resolve;
      this.fail = reject;
    });
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) stop();
      this.post({ kind: 'start' });
      if (!signal.aborted) {
        this.parts.store.watch?.((change) => {
          this.post({ kind: 'watched', change });
        }, watch.signal);
      }
      await ended;
    } finally {
      signal.removeEventListener('abort', stop);
      watch.abort();
      this.halt();
    }
  }

  recheck(why: string): void {
    this.log.debug('lease recheck asked for', { lease: this.parts.store.name, reason: why });
    this.post({ kind: 'recheck' });
  }

  resign(why: string, pauseMs: number): void {
    this.log.warn('resigning', { lease: this.parts.store.name, reason: why, pauseMs });
    this.post({ kind: 'resign', pauseMs });
  }

  status(): ElectionStatus {
    const { renewedAt } = this;
    return {
      lease: this.parts.store.name,
      identity: this.settings.identity,
      holder: this.state.holder ?? '',
      isHolder: this.holds(this.tenure),
      lastRenewAgeMs: renewedAt === undefined ? undefined : this.parts.clock.now() - renewedAt,
      transitions: this.state.transitions,
      lastReason: this.lastReason,
      lastError: this.lastError?.text,
    };
  }

  private holds(tenure: Tenure | undefined): boolean {
    return tenure !== undefined && tenure === this.tenure && this.parts.clock.now() < tenure.validUntil;
  }

  /** Events that arrive while one is handled wait; nothing is awaited between reading the state and replacing it. */
  private post(event: Event): void {
    if (this.listener === undefined) return;
    this.mailbox.push(event);
    if (!this.draining) this.drain();
  }

  private drain(): void {
    this.draining = true;
    let withdrawal: Promise<void> | undefined;
    try {
      while (withdrawal === undefined) {
        const effect = this.effects.shift();
        const event = effect === undefined ? this.mailbox.shift() : undefined;
        if (effect !== undefined) withdrawal = this.carryOut(effect);
        else if (event !== undefined) this.handle(event);
        else break;
      }
    } catch (error) {
      this.breakDown(error);
    }
    this.draining = withdrawal !== undefined;
    withdrawal?.then(
      () => {
        this.drain();
      },
      (error: unknown) => {
        this.draining = false;
        this.breakDown(error);
      },
    );
  }

  /** A listener that throws may have left its VIP on the node: end here, and release nothing. */
  private breakDown(error: unknown): void {
    const { fail } = this;
    this.halt();
    fail?.(new InvariantError(`election listener failed: ${messageOf(error)}`, { cause: error }));
  }

  private handle(event: Event): void {
    const { clock, random, observer } = this.parts;
    this.noteSilence(event);
    const context = { now: clock.now(), wall: clock.wall(), random: random() };
    const before = this.state;
    const result = this.step(this.settings, before, event, context);
    this.state = result.state;
    if (!result.ignored) this.lastReason = result.reason;
    observer?.stepped?.({ event, context, before, result });
    this.effects.push(...result.effects);
  }

  /** What it returns has to be waited for before the next one. */
  private carryOut(effect: Effect): Promise<void> | undefined {
    switch (effect.do) {
      case 'read':
        this.start(effect, (options) => this.parts.store.read(options));
        return;
      case 'create':
        this.claimsReleased = false;
        this.start(effect, (options) => this.parts.store.create(effect.record, options));
        return;
      case 'update':
        this.claimsReleased = effect.base.record.holderIdentity === '';
        this.start(effect, (options) => this.parts.store.update(effect.base, effect.record, options));
        return;
      case 'cancel-call':
        this.call?.abort();
        this.call = undefined;
        return;
      case 'arm':
        this.arm(effect.name, effect.ms, effect.generation);
        return;
      case 'disarm':
        this.timers.get(effect.name)?.cancel();
        this.timers.delete(effect.name);
        return;
      case 'acquired':
        this.acquire(effect.validUntil, effect.renewedAt);
        return;
      case 'renewed':
        this.renewedAt = effect.renewedAt;
        if (this.tenure !== undefined) this.tenure.validUntil = effect.validUntil;
        return;
      case 'shortened':
        if (this.tenure !== undefined) this.tenure.validUntil = effect.validUntil;
        return;
      case 'lost':
        this.lose(effect.reason);
        return this.listener?.withdrawn?.();
      case 'observed':
        if (effect.holder !== '') this.hasLostRace = false;
        this.log.info('lease holder seen', { lease: this.parts.store.name, holder: effect.holder });
        this.listener?.observed?.(effect.holder);
        return;
      case 'finished':
        this.finish?.();
        return;
    }
  }

  private acquire(validUntil: number, renewedAt: number): void {
    const tenure = { validUntil };
    this.tenure = tenure;
    this.renewedAt = renewedAt;
    const handedOverUntil = this.claimsReleased ? this.parts.clock.now() + handOverMs : -Infinity;
    const fence: Fence = {
      holds: () => this.holds(tenure),
      remainingMs: () => (this.holds(tenure) ? tenure.validUntil - this.parts.clock.now() : 0),
      wasHandedOver: () => this.parts.clock.now() < handedOverUntil,
    };
    this.listener?.acquired(fence);
    this.log.info('lease acquired', { lease: this.parts.store.name });
  }

  private lose(reason: LossReason): void {
    this.tenure = undefined;
    this.listener?.lost(reason);
    const fields = { lease: this.parts.store.name, reason };
    if (reason === 'same-name') {
      const message =
        'another process renews this lease under our name, so this one steps back: give every node its own vip_nodename';
      this.log.error(message, { ...fields, identity: this.settings.identity });
    } else if (reason === 'released' || reason === 'resigned') this.log.info('lease given up', fields);
    else this.log.warn('lease lost, campaigning again', { ...fields, error: this.lastError?.text });
  }

  private arm(name: TimerName, ms: number, generation: number): void {
    this.timers.get(name)?.cancel();
    const fire = (): void => {
      this.post({ kind: 'timer', name, generation });
    };
    this.timers.set(name, this.parts.clock.after(`election ${this.parts.store.name} ${name}`, ms, fire));
  }

  private start(
    effect: Extract<Effect, { do: CallOperation }>,
    send: (options: { timeoutMs: number; signal: AbortSignal }) => Promise<StoredLease>,
  ): void {
    const controller = new AbortController();
    this.call = controller;
    const call = effect.call;
    send({ timeoutMs: effect.timeoutMs, signal: controller.signal }).then(
      (lease) => {
        if (controller.signal.aborted) return;
        this.note(effect.do, undefined);
        this.post({ kind: 'result', call, outcome: { ok: true, lease } });
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        const kind = error instanceof StoreError ? error.kind : 'garbage';
        if (effect.do !== 'read' && this.isLostRace(kind))
          this.log.debug('another node was faster', { lease: this.parts.store.name });
        // That there is no record yet is no failure; that it cannot be created, for want of its namespace, is.
        else if (kind !== 'not-found' || effect.do === 'create') this.note(effect.do, messageOf(error));
        this.post({ kind: 'result', call, outcome: { ok: false, error: kind } });
      },
    );
  }

  /** Of several that claim a free record one is first. Refused again while nobody is seen to hold, it is a failure. */
  private isLostRace(kind: StoreErrorKind): boolean {
    const isRefusal = kind === 'conflict' || kind === 'already-exists';
    if (!isRefusal || this.tenure !== undefined || this.hasLostRace) return false;
    this.hasLostRace = true;
    return true;
  }

  /** The machine cancels a call that takes too long, and its answer then means nothing: it would leave no trace. */
  private noteSilence(event: Event): void {
    const { call, timers } = this.state;
    if (event.kind !== 'timer' || event.name !== 'call' || event.generation !== timers.call) return;
    if (call !== undefined) this.note(call.operation, 'no answer in time');
  }

  /** Logs a failure once per change of its text, and its end. */
  private note(operation: CallOperation, text: string | undefined): void {
    const { name } = this.parts.store;
    if (text === this.lastError?.text) return;
    if (text !== undefined) {
      this.log.warn(`lease ${operation} failed, retrying`, { lease: name, error: text });
      this.lastError = { operation, text };
    } else if (this.lastError?.operation === operation) {
      this.log.info(`lease ${operation} works again`, { lease: name });
      this.lastError = undefined;
    }
  }

  /** Ends a run: nothing of it may fire later. */
  private halt(): void {
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
    this.call?.abort();
    this.call = undefined;
    this.mailbox.length = 0;
    this.effects = [];
    this.tenure = undefined;
    this.listener = undefined;
    this.finish = undefined;
    this.fail = undefined;
  }
}

/**
 * An election over one record for one candidate. Throws a RangeError when the timings cannot work
 * (see `checkTimings`, which configuration asks first).
 */
export function createElection(components: ElectionComponents, settings: MachineSettings): Election {
  const refusal = checkTimings(settings);
  if (refusal !== undefined) throw new RangeError(refusal);
  if (settings.identity === '') throw new RangeError('the identity of a candidate must not be empty');
  return new Driver(components, settings);
}
