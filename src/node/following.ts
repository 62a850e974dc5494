import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { isKernelError } from '../linux/errors.ts';
import type { Address, Kernel, KernelEvent, Link, Subscription } from '../linux/types.ts';
import type { MutableCounters } from './counters.ts';
import type { Observed } from './observed.ts';

export interface FollowingParts {
  readonly kernel: Pick<Kernel, 'watch' | 'links' | 'addresses'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observed: Observed;
  readonly counters: MutableCounters;
  /** What was asked for is still being done. */
  readonly isBusy: () => boolean;
  /** `isNews`: false when it tells what was known already. */
  readonly addressChanged: (address: Address, change: 'set' | 'gone', isNews: boolean) => void;
  /** `before` undefined: it is new; `after` undefined: it is gone. */
  readonly linkChanged: (before: Link | undefined, after: Link | undefined) => void;
  /** All links and addresses were listed anew; `eventsLost`: because something may have been missed. */
  readonly dumped: (eventsLost: boolean) => void;
  /** The time has come at which everything is checked, whether something happened or not. */
  readonly refreshed: () => void;
}

/** The full check is an insurance, against events that the kernel did not send: its dump may cost a quarter of a thousandth of the time. */
const refreshShare = 4000;
const maxRefreshes = 4;

const dumpBackoff = { baseMs: 20, maxMs: 5000 };

/** Keeps `observed` in step with the kernel: by events, and by dumps at the start, after lost events and now and then. */
export class Following {
  private readonly parts: FollowingParts;
  private readonly refreshMs: number;
  private subscription: Subscription | undefined;
  private refresh: Timer | undefined;
  private isClosed = false;
  private isDumping = false;
  /** How long the last one took, milliseconds. */
  private dumpMs = 0;
  /** Events were lost while a dump was under way: it needs another one. */
  private mustRepeat = false;

  constructor(parts: FollowingParts, refreshMs: number) {
    this.parts = parts;
    this.refreshMs = refreshMs;
  }

  /** From now on events are heard. Throws KernelError when the kernel cannot be watched. */
  start(): void {
    const hear = (event: KernelEvent): void => this.heard(event);
    // Our own writes count at once.
    this.subscription = this.parts.kernel.watch(['link', 'address'], hear, { withoutEcho: true });
  }

  /** Rejects with KernelError; the later dumps are repeated until they succeed. */
  async firstDump(): Promise<void> {
    await this.dump(true);
    this.armRefresh();
  }

  close(): void {
    this.isClosed = true;
    this.subscription?.close();
    this.refresh?.cancel();
  }

  private heard(event: KernelEvent): void {
    if (this.isClosed) return;
    const { log, observed, addressChanged } = this.parts;
    if (event.kind === 'resync') {
      log.warn('kernel events were lost, looking at everything again');
      this.redump(true);
    } else if (event.kind === 'link') {
      this.heardLink(event.change, event.link);
    } else if (event.kind === 'address') {
      const { change, address } = event;
      addressChanged(address, change, observed.heardAddress(change, address));
    }
  }

  private heardLink(change: 'set' | 'gone', link: Link): void {
    const before = this.parts.observed.heardLink(change, link);
    const after = change === 'set' ? link : undefined;
    if (before !== undefined && after !== undefined && isSameForUs(before, after)) return;
    this.parts.linkChanged(before, after);
  }

  private armRefresh(): void {
    if (this.isClosed) return;
    const { refreshMs } = this;
    const ms = Math.min(Math.max(refreshMs, refreshShare * this.dumpMs), maxRefreshes * refreshMs);
    this.refresh = this.parts.clock.after('node-refresh', ms, () => {
      // A list of what is changing under way has to be made again and again.
      if (!this.parts.isBusy()) {
        this.redump(false);
        this.parts.refreshed();
      }
      this.armRefresh();
    });
  }

  private redump(eventsLost: boolean): void {
    if (this.isDumping) {
      this.mustRepeat ||= eventsLost;
      return;
    }
    void this.dumpUntilDone(eventsLost);
  }

  private async dumpUntilDone(eventsLost: boolean): Promise<void> {
    const { clock, log, random } = this.parts;
    for (let attempt = 1; !this.isClosed; attempt++) {
      try {
        await this.dump(eventsLost);
        if (!this.mustRepeat) return;
        this.mustRepeat = false;
      } catch (error) {
        if (!isKernelError(error)) throw error;
        const delay = backoffMs(attempt, dumpBackoff, random);
        log.warn(`links and addresses cannot be listed, trying again in ${Math.ceil(delay)} ms`, {
          error: messageOf(error),
        });
        await clock.sleep('node-dump', delay);
      }
    }
  }

  private async dump(eventsLost: boolean): Promise<void> {
    const { clock, kernel, observed, counters, dumped } = this.parts;
    const started = clock.now();
    this.isDumping = true;
    observed.dumpStarted(eventsLost);
    try {
      const links = await kernel.links();
      const addresses = await kernel.addresses();
      if (this.isClosed) return;
      observed.dumpDone(links, addresses);
    } catch (error) {
      observed.dumpFailed();
      throw error;
    } finally {
      this.isDumping = false;
    }
    counters.dumps++;
    dumped(eventsLost);
    this.dumpMs = clock.now() - started;
  }
}

/** Traffic counters and the like make events too. */
function isSameForUs(a: Link, b: Link): boolean {
  return (
    a.name === b.name &&
    a.mac === b.mac &&
    a.broadcast === b.broadcast &&
    a.adminUp === b.adminUp &&
    a.carrier === b.carrier &&
    a.hardwareType === b.hardwareType
  );
}
