import { backoffMs } from '../../../lib/backoff.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Timer } from '../../../lib/clock.ts';
import type { Nftables, NftStep, NftTable, NftWatch, ObservedTable } from '../../../linux/index.ts';
import { isKernelError } from '../../../linux/errors.ts';
import type { Shared } from '../ports.ts';
import { observedOf, planTables } from './plan.ts';

/** Events come one for each object of a batch: one look for all of them. */
const settleMs = 2;
const retry = { baseMs: 50, maxMs: 5000 };

type Tried = 'as wanted' | 'unknown' | readonly ObservedTable[];

/** Told after each try to change something. */
export type WhenTried = (kernel: Tried) => void;

/**
 * Keeps the tables of one name as they should be: changes by difference from what is believed to be
 * there, one batch each, and looks again after every event, ours or others'.
 */
export class Tables {
  private readonly nftables: Nftables;
  private readonly shared: Shared;
  private readonly name: string;
  private readonly tried: WhenTried;
  private desired: (() => readonly NftTable[]) | undefined;
  /** What the kernel has, as far as we know; undefined when we do not. */
  private believed: readonly ObservedTable[] | 'as desired' | undefined;
  private subscription: NftWatch | undefined;
  private timer: Timer | undefined;
  private checking: Promise<void> | undefined;
  /** Counts changes of ours, to tell whether a read was overtaken. */
  private epoch = 0;
  private failedInARow = 0;
  /** It was all as it should be at least once: what differs from now on was done by others. */
  private hasSettled = false;
  private isStopped = false;
  /** Of the last change that failed and has not been made good since. */
  problem: string | undefined;

  constructor(nftables: Nftables, shared: Shared, name: string, tried: WhenTried = () => undefined) {
    this.nftables = nftables;
    this.shared = shared;
    this.name = name;
    this.tried = tried;
  }

  get isReady(): boolean {
    return this.desired !== undefined && this.believed !== undefined && this.problem === undefined;
  }

  /** Rejects with KernelError when nf_tables cannot be watched or read. */
  async start(): Promise<void> {
    this.subscription = this.nftables.watch(this.name, () => this.checkSoon(settleMs));
    this.believed = await this.nftables.read(this.name, []);
  }

  stop(): void {
    this.isStopped = true;
    this.subscription?.close();
    this.timer?.cancel();
  }

  /** Asked after an await: the answer may have changed meanwhile. */
  private hasStopped(): boolean {
    return this.isStopped;
  }

  /** Should be so from now on; before `start` is through it is noted only. */
  set(desired: readonly NftTable[]): void {
    this.desired = () => desired;
    // What was desired before is not known any more where it was set by steps.
    if (this.believed === 'as desired') this.believed = undefined;
    if (this.believed === undefined) this.checkSoon(0);
    else this.change(this.believed, false);
  }

  /**
   * Like `set`, where the caller knows what is different: `steps` lead from `before`, which was set last, to
   * `desired`. Both are made only when they are needed, so it takes as long as the steps do, however large the
   * tables are.
   */
  setBy(
    steps: readonly NftStep[],
    before: () => readonly NftTable[],
    desired: () => readonly NftTable[],
  ): void {
    const { isReady } = this;
    this.desired = desired;
    if (!isReady) this.set(desired());
    else if (this.commit(steps, () => observedOf(before()), false)) this.isNow('as desired');
  }

  /** Like `check`, where something may have been missed; else all is known. */
  async checkMissed(): Promise<void> {
    if (this.hasHeardAll() && this.isReady) return;
    await this.check();
  }

  /** Reads what is there and repairs what differs. */
  check(): Promise<void> {
    this.checking ??= this.readAndRepair().finally(() => {
      this.checking = undefined;
    });
    return this.checking;
  }

  private hasHeardAll(): boolean {
    try {
      return this.subscription?.hasHeardAll() === true;
    } catch {
      // Reading will tell what is the matter.
      return false;
    }
  }

  private async readAndRepair(): Promise<void> {
    const { desired } = this;
    if (desired === undefined || this.hasStopped()) return;
    const epoch = this.epoch;
    try {
      const names = desired().flatMap(({ family, chains }) =>
        chains.map(({ name: chain }) => ({ family, chain })),
      );
      const observed = await this.nftables.read(this.name, names);
      if (epoch !== this.epoch || this.hasStopped()) return;
      this.believed = observed;
      this.change(observed, this.hasSettled);
    } catch (error) {
      this.failed(error);
      this.tried('unknown');
    }
  }

  private change(from: readonly ObservedTable[], isRepair: boolean): void {
    const { desired } = this;
    if (desired === undefined) return;
    const wanted = desired();
    if (this.commit(planTables(wanted, from), () => from, isRepair)) this.isNow(observedOf(wanted));
  }

  /** `before`: what is in the kernel if they are refused. */
  private commit(steps: readonly NftStep[], before: () => Tried, isRepair: boolean): boolean {
    if (steps.length === 0) return true;
    this.epoch++;
    try {
      this.nftables.commit(steps);
    } catch (error) {
      const stays = before();
      this.failed(error);
      this.tried(stays);
      return false;
    }
    this.shared.counters.changes++;
    if (isRepair) this.repaired(steps.length);
    return true;
  }

  private isNow(believed: readonly ObservedTable[] | 'as desired'): void {
    this.believed = believed;
    this.hasSettled = true;
    this.failedInARow = 0;
    this.problem = undefined;
    this.tried('as wanted');
  }

  private repaired(steps: number): void {
    const { counters, log, observer } = this.shared;
    counters.repairs++;
    log.warn('somebody else changed our nftables rules, they are back', { table: this.name, steps });
    observer.repaired?.(`table ${this.name}`);
  }

  /** Whatever is there now, it is not what we think: read before the next change. */
  private failed(error: unknown): void {
    const { counters, log, observer } = this.shared;
    counters.failures++;
    this.failedInARow++;
    this.believed = undefined;
    this.problem = messageOf(error);
    const waitMs = backoffMs(this.failedInARow, retry, () => 1);
    log.warn('nftables rules could not be changed, retrying', {
      table: this.name,
      error: this.problem,
      retryInMs: waitMs,
    });
    observer.failed?.(`table ${this.name}`, error);
    // Our own steps can be out of date: somebody removed what they build on. Then a look is enough.
    const isStale = this.failedInARow === 1 && isKernelError(error, 'gone', 'already', 'bug');
    this.checkSoon(isStale ? 0 : waitMs);
  }

  private checkSoon(ms: number): void {
    if (this.hasStopped()) return;
    const due = this.shared.clock.now() + ms;
    if (this.timer !== undefined && this.timer.at <= due && this.timer.at >= this.shared.clock.now()) return;
    this.timer?.cancel();
    this.timer = this.shared.clock.after('check nftables', ms, () => {
      this.timer = undefined;
      // One that is under way may have read too early.
      void (this.checking ?? Promise.resolve()).then(() => this.check());
    });
  }
}
