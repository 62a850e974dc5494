import type { Clock, Timer } from '../lib/clock.ts';
import type { Kernel, Link, Subscription } from '../linux/types.ts';

/** A link that carries traffic. Tunnels and `lo` never leave "unknown", which counts as up (RFC 2863). */
export function isOperational(link: Link | undefined): boolean {
  return link !== undefined && (link.operState === 'up' || (link.operState === 'unknown' && link.adminUp));
}

export interface LinkGateListener {
  /** The link has been out of order for the whole timeout. */
  down(link: string): void;
  up(link: string): void;
}

/**
 * `vip_loseleadership`: watches the VIP's link, of any kind (bond, VLAN and bridge included), and
 * reports when it stays down longer than the timeout. Shorter flaps are not reported.
 */
export function watchLinkGate(
  kernel: Pick<Kernel, 'linkByName' | 'watch'>,
  clock: Clock,
  name: string,
  timeoutMs: number,
  listener: LinkGateListener,
): Subscription {
  let isDown = false;
  let isReported = false;
  let timer: Timer | undefined;

  const judge = (): void => {
    if (isOperational(kernel.linkByName(name))) {
      timer?.cancel();
      isDown = false;
      if (isReported) listener.up(name);
      isReported = false;
    } else if (!isDown) {
      isDown = true;
      timer = clock.after('link-down', timeoutMs, () => {
        isReported = true;
        listener.down(name);
      });
    }
  };

  const watch = kernel.watch(['link'], (event) => {
    if (event.kind === 'resync' || (event.kind === 'link' && event.link.name === name)) judge();
  });
  judge();
  return {
    close: () => {
      timer?.cancel();
      watch.close();
    },
  };
}
