import type { Clock, Timer } from '../lib/clock.ts';
import type { Kernel, Link, Subscription } from '../linux/types.ts';

/** A link that carries traffic. Tunnels and `lo` never leave "unknown", which counts as up (RFC 2863). */
export function isOperational(link: Link | undefined): boolean {
  return link !== undefined && (link.operState === 'up' || (link.operState === 'unknown' && link.adminUp));
}

export interface LinkGateListener {
  /** The link has been out of order for its whole timeout, for this reason. */
  down(why: string): void;
  up(link: string): void;
}

export interface LinkGateOptions {
  readonly name: string;
  /** Milliseconds a link may be down, `vip_loseleadership_timeout_seconds`; undefined: for ever (`vip_loseleadership` is off). */
  readonly downMs: number | undefined;
}

/** One that is made anew, by a restart of what manages it, is not away for longer. */
const GONE_MS = 1000;

type Trouble = { readonly ms: number; readonly why: string };

/**
 * Watches the VIP's link, of any kind (bond, VLAN and bridge included), and reports when it stays down, or when nothing
 * has its name any more: then the VIP cannot be anywhere here. Shorter flaps are not reported.
 */
export function watchLinkGate(
  kernel: Pick<Kernel, 'linkByName' | 'watch'>,
  clock: Clock,
  { name, downMs }: LinkGateOptions,
  listener: LinkGateListener,
): Subscription {
  let index: number | undefined;
  let newName: string | undefined;
  let current: Trouble | undefined;
  let isReported = false;
  let timer: Timer | undefined;

  const look = (): Trouble | undefined => {
    const link = kernel.linkByName(name);
    // Renamed, it may keep this name for an alternative one; VIPs are put on links by their first.
    if (link === undefined || (link.name !== name && index !== undefined)) {
      const now = newName === undefined ? 'does not exist any more' : `is called ${newName} now`;
      return { ms: GONE_MS, why: `link ${name} ${now}` };
    }
    if (link.name === name) index = link.index;
    newName = undefined;
    if (downMs === undefined || isOperational(link)) return undefined;
    return { ms: downMs, why: `link ${name} down for ${downMs} ms` };
  };

  const judge = (): void => {
    const found = look();
    if (found?.why === current?.why) return;
    const wasWaiting = current !== undefined && !isReported;
    current = found;
    if (found === undefined) {
      timer?.cancel();
      if (isReported) listener.up(name);
      isReported = false;
    } else if (!isReported) {
      if (wasWaiting) timer?.cancel();
      timer = clock.after('link-down', found.ms, () => {
        isReported = true;
        listener.down(found.why);
      });
    }
  };

  const watch = kernel.watch(['link'], (event) => {
    if (event.kind === 'link' && event.link.index === index) {
      newName = event.change === 'set' && event.link.name !== name ? event.link.name : undefined;
    }
    const isOurs = event.kind === 'link' && (event.link.name === name || event.link.index === index);
    if (event.kind === 'resync' || isOurs) judge();
  });
  judge();
  return {
    close: () => {
      timer?.cancel();
      watch.close();
    },
  };
}
