import type { Clock, Timer } from '../lib/clock.ts';
import type { WantedStatus } from './status-writer.ts';
import type { ServiceKey } from './types.ts';

interface StatusSink {
  want(key: ServiceKey, wanted: WantedStatus): void;
  drop(key: ServiceKey): void;
}

/** Turns of the event loop without a wish after which the network is taken to be served. */
const quietTurns = 2;
/** However much there is to do for the network, a status waits for this long at most. */
const maxHeldMs = 200;

/**
 * Holds wishes for statuses back while more keep coming: writing a thousand of them takes longer than putting
 * a thousand VIPs on the link, and must not stand between two of those. One that comes alone waits for two
 * turns of the event loop.
 */
export class QuietStatus implements StatusSink {
  private readonly sink: StatusSink;
  private readonly clock: Clock;
  private readonly held = new Map<ServiceKey, WantedStatus>();
  private timer: Timer | undefined;
  private heldSince = 0;
  private quiet = 0;

  constructor(sink: StatusSink, clock: Clock) {
    this.sink = sink;
    this.clock = clock;
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
      const isOver = this.quiet >= quietTurns || this.clock.now() - this.heldSince >= maxHeldMs;
      if (isOver) this.release();
      else this.arm();
    });
  }

  private release(): void {
    const wishes = [...this.held];
    this.held.clear();
    for (const [key, wanted] of wishes) this.sink.want(key, wanted);
  }
}
