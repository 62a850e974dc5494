import type { Clock, Timer } from '../lib/clock.ts';
import type { WantedStatus } from './status-writer.ts';
import type { ServiceKey } from './types.ts';

interface StatusSink {
  want(key: ServiceKey, wanted: WantedStatus): void;
  drop(key: ServiceKey): void;
}

/** Turns of the event loop without a wish after which the network is taken to be served. */
const quietTurns = 2;
/** However many wishes keep coming, and then however much there is to do for the network, none waits longer. */
const maxHeldMs = 200;
const maxBusyMs = 3000;
/** Wishes that are passed on in one turn. */
const atOnce = 256;

/**
 * Holds wishes for statuses back while more keep coming, and while VIPs wait for their turn: writing a thousand
 * statuses takes longer than putting a thousand VIPs on the link, and must not stand between two of those. One
 * that comes alone waits for two turns of the event loop.
 */
export class QuietStatus implements StatusSink {
  private readonly sink: StatusSink;
  private readonly clock: Clock;
  private readonly isBusy: () => boolean;
  private readonly held = new Map<ServiceKey, WantedStatus>();
  private timer: Timer | undefined;
  private heldSince = 0;
  private quiet = 0;

  /** `isBusy`: VIPs wait for their turn. */
  constructor(sink: StatusSink, clock: Clock, isBusy: () => boolean) {
    this.sink = sink;
    this.clock = clock;
    this.isBusy = isBusy;
  }

  want(key: ServiceKey, wanted: WantedStatus): void {
    if (this.held.size === 0) this.heldSince = this.clock.now();
    this.held.set(key, wanted);
    this.quiet = 0;
    this.arm();
  }

  drop(key: ServiceKey): void {
    this.held.delete(key);
    this.sink.drop(key);
  }

  close(): void {
    this.timer?.cancel();
    this.held.clear();
  }

  private arm(): void {
    this.timer ??= this.clock.after('service-status-quiet', 0, () => {
      this.timer = undefined;
      this.quiet++;
      if (this.isOver()) this.release();
      if (this.held.size > 0) this.arm();
    });
  }

  private isOver(): boolean {
    const heldMs = this.clock.now() - this.heldSince;
    if (this.isBusy()) return heldMs >= maxBusyMs;
    return this.quiet >= quietTurns || heldMs >= maxHeldMs;
  }

  private release(): void {
    let left = atOnce;
    for (const [key, wanted] of this.held) {
      if (left-- === 0) return;
      this.held.delete(key);
      this.sink.want(key, wanted);
    }
  }
}
