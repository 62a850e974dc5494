import type { Clock, Timer } from '../lib/clock.ts';
import type { Kernel, Link, Subscription } from '../linux/types.ts';

/** A link that carries traffic. Tunnels and `lo` never leave "unknown", which counts as up (RFC 2863). */
export function isOperational(link: Link | undefined): boolean {
  return link !== undefined && (link.operState === 'up' || (link.operState === 'unknown' && link.adminUp));
}

export interface LinkGateListener {
  /** The link has been out of order for the whole timeout; called again every timeout while it stays so. */
  down(link: string, downForMs: number): void;
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
  let downSince: number | undefined;
  let reported = false;
  let timer: Timer | undefined;

  const fire = (): void => {
    reported = true;
    listener.down(name, clock.now() - (downSince ?? clock.now()));
    timer = clock.after('link-down', timeoutMs, fire);
  };
  const judge = (): void => {
    if (isOperational(kernel.linkByName(name))) {
      timer?.cancel();
      downSince = undefined;
      if (reported) listener.up(name);
      reported = false;
    } else if (downSince === undefined) {
      downSince = clock.now();
      timer = clock.after('link-down', timeoutMs, fire);
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
