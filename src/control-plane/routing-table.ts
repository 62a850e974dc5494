import { isAborted } from '../lib/abort.ts';
import { attempt } from '../lib/attempt.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { familyOf, type Family, type Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { NodeStore, Spec } from '../node/types.ts';
import type { SelfCheck } from './self-check.ts';
import { addressSpec, type AddressForm } from './specs.ts';
import type { PlaneVip } from './types.ts';

export interface RoutingTableParts {
  readonly node: NodeStore;
  /** Removes what a predecessor left of these VIPs, addresses and routes, as far as nobody wants it. */
  readonly sweep: () => void;
  readonly check: SelfCheck;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer?: RoutingTableObserver;
}

export interface RoutingTableObserver {
  /** The first check is through: it is known whether this node serves. */
  checked?(): void;
  /** The VIPs that this node has from now on. */
  serving?(vips: readonly Ip[]): void;
}

export interface RoutingTableOptions extends AddressForm {
  readonly vips: readonly PlaneVip[];
  /** Between the beginnings of two checks; none takes longer. */
  readonly periodMs: number;
  readonly timeoutMs: number;
}

/**
 * The control-plane operator of routing-table mode: no election, each node for itself.
 *
 *   start     ──► what a predecessor left stays until the first check
 *   healthy   ──► publish address and route; each further check is a turn of the route
 *   unhealthy ──► withdraw both, at the first failure
 *
 * Families are checked and published apart: a node may serve one and not the other.
 */
export class RoutingTable {
  private readonly parts: RoutingTableParts;
  private options: RoutingTableOptions;
  /** What was wrong at the last check; undefined: healthy. */
  private readonly problems = new Map<Family, string | undefined>();
  /** Checks of each family that were passed in a row, after the first. */
  private readonly turns = new Map<Family, number>();
  private isSettled = false;
  private wake = new AbortController();

  constructor(parts: RoutingTableParts, options: RoutingTableOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** Checks until the signal aborts. When it resolves no VIP of ours is on the node, nor a route to it. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, node, sweep } = this.parts;
    try {
      while (!signal.aborted) {
        const started = clock.now();
        this.wake = new AbortController();
        const families = this.families();
        const answers = await Promise.all(families.map((family) => this.checkOnce(family, signal)));
        // Read through a function: the signal may have aborted during the checks.
        if (isAborted(signal)) break;
        this.conclude(families, answers);
        const restMs = Math.max(0, started + this.options.periodMs - clock.now());
        await clock.sleep('self-check', restMs, AbortSignal.any([signal, this.wake.signal]));
      }
    } finally {
      node.withdraw('control-plane');
      sweep();
    }
  }

  /** The VIPs are others from now on (names). A family that has not been checked yet is checked first. */
  setVips(vips: readonly PlaneVip[]): void {
    const before = this.serving();
    this.options = { ...this.options, vips };
    if (!this.isSettled) return;
    const families = this.families();
    for (const family of this.problems.keys()) if (!families.includes(family)) this.problems.delete(family);
    this.publish(before);
    if (families.some((family) => !this.problems.has(family))) this.recheck();
  }

  /** Something that the check depends on has changed: it is worth looking now. */
  recheck(): void {
    this.wake.abort();
  }

  private async checkOnce(family: Family, signal: AbortSignal): Promise<string | undefined> {
    const { check, clock } = this.parts;
    const limit = Math.min(this.options.timeoutMs, this.options.periodMs);
    try {
      return await attempt(clock, 'self-check-timeout', limit, signal, (own) => check(family, own));
    } catch (error) {
      return messageOf(error);
    }
  }

  private conclude(families: readonly Family[], answers: readonly (string | undefined)[]): void {
    const before = this.serving();
    for (const [i, family] of families.entries()) this.note(family, answers[i]);
    this.publish(before);
    if (!this.isSettled) {
      this.isSettled = true;
      this.parts.sweep();
      this.parts.observer?.checked?.();
    }
  }

  /** In the turn of the verdict: nothing stands between it and the address. */
  private publish(before: readonly Ip[]): void {
    this.parts.node.publish('control-plane', this.specs());
    const now = this.serving();
    if (before.join() !== now.join()) this.parts.observer?.serving?.(now);
  }

  private note(family: Family, problem: string | undefined): void {
    const { log } = this.parts;
    const isNew = !this.problems.has(family);
    const before = this.problems.get(family);
    this.problems.set(family, problem);
    const vip = this.vipsOf(family).join(',');
    if (problem === undefined) {
      const wasHealthy = !isNew && before === undefined;
      this.turns.set(family, wasHealthy ? (this.turns.get(family) ?? 0) + 1 : 0);
      if (!wasHealthy)
        log.info('the local API server is healthy: this node has the control-plane VIP', { vip });
    } else if (isNew || before === undefined) {
      const message = 'the local API server is unhealthy: this node does not have the control-plane VIP';
      log.warn(message, { vip, reason: problem });
    }
  }

  private isHealthy(family: Family): boolean {
    return this.problems.has(family) && this.problems.get(family) === undefined;
  }

  private families(): readonly Family[] {
    return [...new Set(this.options.vips.map(({ vip }) => familyOf(vip)))];
  }

  private serving(): readonly Ip[] {
    return this.families()
      .filter((family) => this.isHealthy(family))
      .flatMap((family) => this.vipsOf(family));
  }

  private vipsOf(family: Family): readonly Ip[] {
    return this.options.vips.flatMap(({ vip }) => (familyOf(vip) === family ? [vip] : []));
  }

  private specs(): readonly Spec[] {
    const { vips, link } = this.options;
    return vips.flatMap((each): readonly Spec[] => {
      const { vip } = each;
      const family = familyOf(vip);
      if (!this.isHealthy(family)) return [];
      const address = addressSpec(this.options, each);
      return [address, { kind: 'route', vip, link, turn: this.turns.get(family) ?? 0 }];
    });
  }
}
