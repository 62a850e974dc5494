import { backoffMs } from '../../lib/backoff.ts';
import type { Clock, Random } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { isKernelError, type KernelError } from '../../linux/errors.ts';
import type { Kernel, Route, Subscription } from '../../linux/types.ts';
import type { RouteForm } from './form.ts';
import { ObservedRoutes } from './observed.ts';

export interface RouteTableParts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface RouteTableListener {
  /** Somebody else changed a route that concerns us. */
  changed(route: Route, change: 'set' | 'gone'): void;
  /** A dump is in. */
  dumped(isFirst: boolean): void;
}

const dumpBackoff = { baseMs: 20, maxMs: 5000 };

/** Our kernel table: what is in it, kept up to date, and writes to it. */
export class RouteTable {
  private readonly parts: RouteTableParts;
  private readonly table: number;
  private readonly observed: ObservedRoutes;
  private readonly listener: RouteTableListener;
  private subscription: Subscription | undefined;
  private hasDump = false;
  private isClosed = false;
  private isDumping = false;
  /** Another dump was asked for while one was under way. */
  private mustRepeat = false;

  constructor(parts: RouteTableParts, form: RouteForm, listener: RouteTableListener) {
    this.parts = parts;
    this.table = form.table;
    this.observed = new ObservedRoutes(form);
    this.listener = listener;
  }

  /** Rejects with KernelError when routes cannot be watched or dumped. */
  async start(): Promise<void> {
    this.subscription = this.parts.kernel.watch(['route'], (event) => {
      if (this.isClosed) return;
      if (event.kind === 'resync') this.lookAgain();
      else if (event.kind === 'route' && this.observed.heard(event.change, event.route)) {
        if (this.isKnown()) this.listener.changed(event.route, event.change);
      }
    });
    await this.dump();
  }

  close(): void {
    this.isClosed = true;
    this.subscription?.close();
  }

  /** The first dump is in, and this is not closed. */
  isKnown(): boolean {
    return this.hasDump && !this.isClosed;
  }

  to(vip: Parameters<ObservedRoutes['to']>[0]): readonly Route[] {
    return this.observed.to(vip);
  }

  ours(): readonly Route[] {
    return this.observed.ours();
  }

  /** Dumps the table; several wishes at once are one. */
  lookAgain(): void {
    if (!this.isKnown()) return;
    this.mustRepeat = true;
    if (!this.isDumping) void this.dumpUntilDone();
  }

  set(route: Route): KernelError | undefined {
    try {
      this.parts.kernel.setRoute(route);
    } catch (error) {
      if (!isKernelError(error)) throw error;
      return error;
    }
    this.observed.wrote(route);
    return undefined;
  }

  /** "Not there" is no error. */
  remove(route: Route): KernelError | undefined {
    try {
      this.parts.kernel.removeRoute(route);
    } catch (error) {
      if (!isKernelError(error)) throw error;
      if (error.kind !== 'gone') return error;
      this.observed.lost(route);
      return undefined;
    }
    this.observed.removed(route);
    return undefined;
  }

  private async dumpUntilDone(): Promise<void> {
    for (let failures = 0; this.mustRepeat && this.isKnown();) {
      this.mustRepeat = false;
      try {
        await this.dump();
      } catch (error) {
        if (!isKernelError(error)) throw error;
        this.mustRepeat = true;
        const delay = backoffMs(++failures, dumpBackoff, this.parts.random);
        const next = `trying again in ${Math.ceil(delay)} ms`;
        this.parts.log.warn(`routes cannot be listed, ${next}`, { error: messageOf(error) });
        this.isDumping = true;
        await this.parts.clock.sleep('route-dump', delay);
      }
    }
    this.isDumping = false;
  }

  private async dump(): Promise<void> {
    this.isDumping = true;
    this.observed.dumpStarted();
    try {
      const routes = await this.parts.kernel.routes({ table: this.table });
      if (this.isClosed) return;
      this.observed.dumpDone(routes);
    } catch (error) {
      this.observed.dumpFailed();
      throw error;
    } finally {
      this.isDumping = false;
    }
    const isFirst = !this.hasDump;
    this.hasDump = true;
    this.listener.dumped(isFirst);
  }
}
