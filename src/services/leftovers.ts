import type { Clock, Timer } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';

export interface LeftoversParts {
  /** Removes marked VIPs that no spec wants, except those the filter keeps. */
  readonly sweep: (keep: (vip: Ip) => boolean) => void;
  /** This node may still turn out to be the holder of a Service that wants it. */
  readonly mayBeOurs: (vip: Ip) => boolean;
  readonly clock: Clock;
}

/** Sweeps what a predecessor left: again whenever more is known, and while something was kept. */
export class Leftovers {
  private readonly parts: LeftoversParts;
  private readonly graceMs: number;
  private timer: Timer | undefined;

  constructor(parts: LeftoversParts, graceMs: number) {
    this.parts = parts;
    this.graceMs = graceMs;
    this.arm(graceMs);
  }

  /** In the next turn, once for all who ask in this one. */
  sweepSoon(): void {
    this.arm(0);
  }

  close(): void {
    this.timer?.cancel();
  }

  private arm(ms: number): void {
    this.timer?.cancel();
    this.timer = this.parts.clock.after('services-sweep', ms, () => {
      this.sweep();
    });
  }

  private sweep(): void {
    const kept: Ip[] = [];
    this.parts.sweep((vip) => {
      const keep = this.parts.mayBeOurs(vip);
      if (keep) kept.push(vip);
      return keep;
    });
    if (kept.length > 0) this.arm(this.graceMs);
  }
}
