import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { NodeObserver } from '../types.ts';
import type { Announcements } from './announcements.ts';

/** A link that has just come up has its link-local address after a second or two, when duplicate address detection is through. */
const graceMs = 4000;

export interface SourcelessParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: NodeObserver;
  readonly announcements: Announcements;
}

/**
 * Links on which IPv6 VIPs cannot be announced for want of a link-local source. Clients then go on to talk to the former holder
 * for as long as they remember it, so somebody has to be told: once for each link, with the first VIP that waits there.
 */
export class Sourceless {
  private readonly parts: SourcelessParts;
  private readonly told = new Set<string>();
  private timer: Timer | undefined;

  constructor(parts: SourcelessParts) {
    this.parts = parts;
  }

  /** A VIP waits for a source on this link. */
  waits(link: string): void {
    if (this.told.has(link)) return;
    this.timer ??= this.parts.clock.after('link-local', graceMs, () => {
      this.timer = undefined;
      this.tell();
    });
  }

  /** A VIP that waited for one on this link has one. */
  found(link: string): void {
    if (this.told.delete(link))
      this.parts.log.info('IPv6 VIPs are announced: their link has a link-local address', { link });
  }

  /** Nothing is to be announced on this link any more. */
  forget(link: string): void {
    this.told.delete(link);
  }

  close(): void {
    this.timer?.cancel();
  }

  private tell(): void {
    const { announcements, log, observer } = this.parts;
    for (const link of announcements.links()) {
      if (this.told.has(link)) continue;
      const waiting = announcements.ofLink(link).filter(({ obstacle }) => obstacle?.kind === 'sourceless');
      const [first] = waiting;
      if (first?.obstacle === undefined) continue;
      this.told.add(link);
      for (const { vip } of waiting) observer.notAnnounced?.(vip, link, 'failed');
      log.warn('IPv6 VIPs cannot be announced, waiting for a link-local address', {
        link,
        vip: first.vip,
        vips: waiting.length,
        reason: first.obstacle.reason,
        remedy: `sysctl -w net/ipv6/conf/${link}/addr_gen_mode=0, or ip address add fe80::N/64 dev ${link} with an N that no other node has`,
      });
    }
  }
}
