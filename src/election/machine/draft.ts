import { claimRecord, releaseRecord } from '../record.ts';
import type { LeaseRecord, StoredLease } from '../store.ts';
import { attemptTimeoutMs } from '../timings.ts';
import type { LossReason } from '../types.ts';
import type {
  CallOperation,
  Context,
  Effect,
  MachineSettings,
  Phase,
  Reason,
  State,
  StepResult,
  TimerName,
} from './types.ts';

/** More than can be on their way to a server at once. */
const keptWrites = 32;

/** Refusals in a row that a race of honest candidates may bring. */
const patientRefusals = 3;

const phaseTimers: readonly TimerName[] = ['poll', 'take', 'renew', 'deadline', 'release', 'pause'];

/** The next state while a step is being worked out. Lives for one step; outside, `step` is a pure function. */
export class Draft {
  readonly settings: MachineSettings;
  readonly now: number;
  readonly wall: number;
  readonly random: number;
  phase: Phase;
  hasRival: boolean;
  refusals: number;
  private call: State['call'];
  private timers: Partial<Record<TimerName, number>>;
  private sequence: number;
  private holder: string | undefined;
  private transitions: number;
  private written: readonly string[];
  private readonly effects: Effect[] = [];

  constructor(settings: MachineSettings, state: State, context: Context) {
    this.settings = settings;
    this.now = context.now;
    this.wall = context.wall;
    this.random = context.random;
    this.phase = state.phase;
    this.call = state.call;
    this.timers = { ...state.timers };
    this.sequence = state.sequence;
    this.holder = state.holder;
    this.transitions = state.transitions;
    this.written = state.written;
    this.hasRival = state.hasRival;
    this.refusals = state.refusals;
  }

  get currentCall(): State['call'] {
    return this.call;
  }

  /** Changes phase. The timers of the old phase go with it, and so does its call unless it is kept on purpose. */
  enter(phase: Phase, keep?: 'keep-call'): void {
    this.phase = phase;
    for (const name of phaseTimers) this.disarm(name);
    if (keep === undefined) this.cancelCall();
  }

  emit(effect: Effect): void {
    this.effects.push(effect);
  }

  lose(reason: LossReason): void {
    this.emit({ do: 'lost', reason });
  }

  arm(name: TimerName, ms: number): void {
    const generation = ++this.sequence;
    this.timers[name] = generation;
    this.emit({ do: 'arm', name, ms: Math.max(0, ms), generation });
  }

  disarm(name: TimerName): void {
    if (this.timers[name] === undefined) return;
    this.timers = Object.fromEntries(Object.entries(this.timers).filter(([other]) => other !== name));
    this.emit({ do: 'disarm', name });
  }

  /** True when this expiry is of the timer armed last under its name. */
  expires(name: TimerName, generation: number): boolean {
    if (this.timers[name] !== generation) return false;
    this.timers = Object.fromEntries(Object.entries(this.timers).filter(([other]) => other !== name));
    return true;
  }

  read(limitMs = Infinity): void {
    const { call, timeoutMs } = this.begin('read', limitMs);
    this.emit({ do: 'read', call, timeoutMs });
  }

  /** Writes a claim: creates the record, or updates the one given. */
  claim(base: StoredLease | undefined, limitMs = Infinity): void {
    const record = claimRecord({ ...this.settings, wall: this.wall }, base?.record);
    this.written = [...this.written, record.renewTime ?? ''].slice(-keptWrites);
    if (base !== undefined) {
      this.update(base, record, limitMs);
      return;
    }
    const { call, timeoutMs } = this.begin('create', limitMs);
    this.emit({ do: 'create', call, timeoutMs, record });
  }

  sendRelease(base: StoredLease): void {
    this.update(base, releaseRecord(this.wall, base.record), Infinity);
  }

  /** Was a record that names us written by this process? */
  wrote({ renewTime }: LeaseRecord): boolean {
    return renewTime !== undefined && this.written.includes(renewTime);
  }

  private update(base: StoredLease, record: LeaseRecord, limitMs: number): void {
    const { call, timeoutMs } = this.begin('update', limitMs);
    this.emit({ do: 'update', call, timeoutMs, base, record });
  }

  private begin(operation: CallOperation, limitMs: number): { call: number; timeoutMs: number } {
    this.cancelCall();
    const call = ++this.sequence;
    const timeoutMs = Math.min(attemptTimeoutMs(this.settings), limitMs);
    this.call = { id: call, operation, sentAt: this.now };
    this.arm('call', timeoutMs);
    return { call, timeoutMs };
  }

  /** A record that is not the one we were told of is read at once, but not for ever: what is told may be wrong. */
  get isRefusedAgain(): boolean {
    return this.refusals > patientRefusals;
  }

  /** The call in flight has an outcome, or has taken too long. */
  endCall(): void {
    this.call = undefined;
    this.disarm('call');
  }

  cancelCall(): void {
    if (this.call === undefined) return;
    this.emit({ do: 'cancel-call', call: this.call.id });
    this.endCall();
  }

  /** Notes who holds, '' for nobody, and reports a change. */
  report(record: LeaseRecord | undefined): void {
    const holder = record?.holderIdentity ?? '';
    if (record !== undefined) this.transitions = record.leaseTransitions;
    if (holder === this.holder) return;
    this.holder = holder;
    this.emit({ do: 'observed', holder });
  }

  result(reason: Reason, ignored: boolean): StepResult {
    return {
      state: {
        phase: this.phase,
        call: this.call,
        timers: this.timers,
        sequence: this.sequence,
        holder: this.holder,
        transitions: this.transitions,
        written: this.written,
        hasRival: this.hasRival,
        refusals: this.refusals,
      },
      effects: this.effects,
      reason,
      ignored,
    };
  }
}
