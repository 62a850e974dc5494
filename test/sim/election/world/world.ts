import type { Step } from '../../../../src/election/machine/machine.ts';
import { attemptTimeoutMs, tenureMs } from '../../../../src/election/timings.ts';
import type { Timings } from '../../../../src/election/timings.ts';
import type { Random } from '../../../../src/lib/clock.ts';
import { MemoryLease } from '../../../../src/testing/memory-lease.ts';
import { faults } from './faults.ts';
import { healthyPath } from './network.ts';
import { between, pick, seededRandom } from './random.ts';
import { SimNode } from './sim-node.ts';
import type { SimWorld } from './sim-node.ts';
import { Timeline } from './timeline.ts';

export interface SimOptions {
  readonly seed: number;
  /** True time under faults in one episode, ms. A quiet phase that checks liveness follows. */
  readonly faultsMs: number;
  readonly episodes: number;
  /** Names of the faults to choose from; all by default. */
  readonly only?: readonly string[];
  readonly step?: Step;
  /** All nodes with a watch, or none; by default most have one. */
  readonly watch?: boolean;
  /** Instead of a choice by the seed. */
  readonly timings?: Timings;
  readonly rateSpread?: number;
  readonly nodes?: number;
  /** Time before the first fault, ms. */
  readonly calmMs?: number;
}

export interface SimReport {
  readonly seed: number;
  readonly violations: readonly string[];
  /** The last notes before the first violation, or the end. */
  readonly history: readonly string[];
  readonly simulatedMs: number;
  readonly events: number;
  readonly tenures: number;
  /** True time with two holders, all of it inside the stated exceptions unless there are violations. */
  readonly twoHoldersMs: number;
  readonly longestTwoHoldersMs: number;
}

const timingChoices: readonly Timings[] = [
  { leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 },
  { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 },
  { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 1000 },
];
/** Clock rates stay within 1 ± spread; 1.1 / 0.9 < 1.25, the ratio of lease duration and tenure. */
const rateSpreads = [0, 0.001, 0.05, 0.1];
const historyLength = 120;
const maxCallsPerSecond = 60;
const maxEventsPerSecond = 20_000;
/** Two holders are allowed this long after a record was deleted or overwritten while its holder could see it. */
const disturbedBoundMs = 100;

/** Several nodes, one record, and true time. Checks its invariants before and after everything that happens. */
export class World implements SimWorld {
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly lease = new MemoryLease();
  readonly timings: Timings;
  readonly nodes: readonly SimNode[];
  readonly violations: string[] = [];
  private readonly options: SimOptions;
  private readonly slowest: number;
  /** The last things that happened, in words. */
  readonly history: string[] = [];
  private disturbance = { at: -Infinity, until: -Infinity };
  private twoSince: number | undefined;
  private twoHoldersMs = 0;
  private longest = 0;
  private events = 0;
  private secondStart = 0;
  private eventsBefore = 0;

  constructor(options: SimOptions) {
    this.options = options;
    this.random = seededRandom(options.seed);
    this.timings = options.timings ?? pick(this.random, timingChoices);
    const count = options.nodes ?? 2 + Math.floor(this.random() * 6);
    const spread = options.rateSpread ?? pick(this.random, rateSpreads);
    this.slowest = 1 - spread;
    const watching = this.random() < 0.75;
    this.nodes = Array.from({ length: count }, (_, index) => {
      const rate = between(this.random, 1 - spread, 1 + spread);
      return new SimNode(this, {
        identity: `node-${index + 1}`,
        timings: this.timings,
        rate,
        watch: options.watch ?? (watching && this.random() < 0.95),
        latenessMs: pick(this.random, [0, 2, 30]),
        step: options.step,
      });
    });
  }

  note(node: string, text: string): void {
    if (this.violations.length > 0) return;
    this.history.push(`${this.timeline.now.toFixed(1).padStart(10)}  ${node}: ${text}`);
    if (this.history.length > historyLength) this.history.shift();
  }

  violation(text: string): void {
    this.note('VIOLATION', text);
    this.violations.push(`${this.timeline.now.toFixed(1)}: ${text}`);
  }

  /** The record is about to be changed by somebody who is no candidate. */
  disturb(): void {
    const at = this.timeline.now;
    // A claim may be under way anywhere, so all must see.
    const seen = this.nodes.every((node) => !node.running || this.sees(node));
    const deadline = tenureMs(this.timings) / this.slowest + attemptTimeoutMs(this.timings);
    const until = at + (seen ? disturbedBoundMs : deadline);
    this.disturbance = { at, until: Math.max(until, this.disturbance.until) };
  }

  start(): void {
    for (const node of this.nodes) node.start();
  }

  /** True time passes, ms. */
  async advance(ms: number): Promise<void> {
    await this.advanceTo(this.timeline.now + ms);
  }

  async run(): Promise<SimReport> {
    this.start();
    await this.advance(this.options.calmMs ?? 0);
    for (let episode = 0; episode < this.options.episodes && this.violations.length === 0; episode++) {
      await this.trouble();
      await this.quiet();
    }
    return {
      seed: this.options.seed,
      violations: this.violations,
      history: this.history,
      simulatedMs: this.timeline.now,
      events: this.events,
      tenures: this.nodes.reduce((sum, node) => sum + node.tenures, 0),
      twoHoldersMs: this.twoHoldersMs,
      longestTwoHoldersMs: this.longest,
    };
  }

  private sees(node: SimNode): boolean {
    const { path, paused, options } = node;
    const usualLag = healthyPath().watchLagMs;
    const prompt = path.watchLagMs <= usualLag && path.watchBusyUntil <= this.timeline.now + usualLag;
    return options.watch && !paused && !path.watchGap && prompt;
  }

  private async trouble(): Promise<void> {
    const end = this.timeline.now + this.options.faultsMs;
    for (const node of this.nodes) node.restarts = false;
    const names = this.options.only ?? Object.keys(faults);
    const meanGap = this.timings.leaseDurationMs * between(this.random, 0.1, 1.5);
    const next = (): void => {
      if (this.timeline.now >= end) return;
      this.strike(pick(this.random, names), end);
      this.timeline.in(-Math.log(1 - this.random()) * meanGap, next);
    };
    next();
    await this.advanceTo(end);
  }

  private strike(name: string, end: number): void {
    const node = pick(this.random, this.nodes);
    const ms = Math.min(
      between(this.random, 50, 2.5 * this.timings.leaseDurationMs),
      end - this.timeline.now,
    );
    this.note(node.identity, `fault: ${name}, ${ms.toFixed(0)} ms`);
    // A fault soon after a disturbance may be why its holder did not see it.
    if (this.timeline.now <= this.disturbance.at + disturbedBoundMs) {
      const late = this.disturbance.at + tenureMs(this.timings) / this.slowest;
      this.disturbance.until = Math.max(this.disturbance.until, late + attemptTimeoutMs(this.timings));
    }
    faults[name]?.(this, node, ms);
  }

  /** All is well again: one holder within the bound, and it stays. */
  private async quiet(): Promise<void> {
    this.heal();
    const { leaseDurationMs, retryPeriodMs } = this.timings;
    const longestPause = 3000;
    const bound =
      leaseDurationMs + retryPeriodMs * 2.2 + 2 * attemptTimeoutMs(this.timings) + longestPause + 500;
    await this.advanceTo(this.timeline.now + bound / this.slowest);
    const [holder, ...others] = this.nodes.filter((node) => node.holds);
    if (holder === undefined || others.length > 0) {
      this.violation(`after the faults ended: ${others.length + (holder === undefined ? 0 : 1)} holders`);
      return;
    }
    const { tenures } = holder;
    await this.advanceTo(this.timeline.now + 3 * leaseDurationMs);
    if (!holder.holds || holder.tenures !== tenures) this.violation('the tenure ended without a fault');
  }

  private heal(): void {
    this.note('all', 'healed');
    for (const node of this.nodes) {
      const gap = node.path.watchGap;
      Object.assign(node.path, { ...healthyPath(), watchBusyUntil: node.path.watchBusyUntil });
      node.resume();
      node.restarts = true;
      if (!node.running) node.start();
      if (gap) node.resyncWatch();
    }
  }

  private async advanceTo(end: number): Promise<void> {
    const limit = { reached: false };
    this.timeline.in(end - this.timeline.now, () => {
      limit.reached = true;
    });
    while (!limit.reached && this.violations.length === 0) {
      const next = this.timeline.next();
      if (next === undefined) break;
      this.timeline.now = next.at;
      this.check();
      next.run();
      // A store's answer reaches the driver one microtask later; a finished run takes a few more.
      for (let turn = 0; turn < 3; turn++) await Promise.resolve();
      this.events++;
      this.check();
    }
  }

  private check(): void {
    const { now } = this.timeline;
    let holders = 0;
    for (const node of this.nodes) {
      if (node.vip && node.running && !node.paused && !node.waking) holders++;
    }
    this.measure(holders, now);
    if (holders > 1 && now > this.disturbance.until) {
      const names = this.nodes.filter((node) => node.vip && !node.paused).map((node) => node.identity);
      this.violation(`two holders: ${names.join(', ')}`);
    }
    if (now - this.secondStart >= 1000) this.countCalls(now);
    else if (this.events - this.eventsBefore > maxEventsPerSecond) this.violation('busy without end');
  }

  private measure(holders: number, now: number): void {
    if (holders > 1) {
      this.twoSince ??= now;
    } else if (this.twoSince !== undefined) {
      this.twoHoldersMs += now - this.twoSince;
      this.longest = Math.max(this.longest, now - this.twoSince);
      this.twoSince = undefined;
    }
  }

  private countCalls(now: number): void {
    const seconds = (now - this.secondStart) / 1000;
    this.secondStart = now;
    this.eventsBefore = this.events;
    for (const node of this.nodes) {
      if (node.calls > maxCallsPerSecond * seconds) {
        this.violation(`${node.identity}: ${node.calls} calls in ${seconds.toFixed(1)} s`);
      }
      node.calls = 0;
    }
  }
}
