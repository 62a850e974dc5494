import { messageOf } from '../../lib/errors.ts';
import { hostLength, type Ip } from '../../lib/ip.ts';
import type { Logger } from '../../lib/log.ts';
import type { Kernel, Route } from '../../linux/types.ts';

/** RTPROT_STATIC: up to this one, protocols belong to the kernel and to administrators. */
const lastForeignProtocol = 4;
/** RT_TABLE_LOCAL, the kernel's own book-keeping. */
const localTable = 255;

export interface StrayRoutes {
  readonly vips: ReadonlySet<Ip>;
  /** The route protocol that is our mark. */
  readonly protocol: number;
  /** The table that is taken care of otherwise; undefined where this process writes no routes. */
  readonly table: number | undefined;
}

/**
 * Removes routes to our VIPs that a process before this one has written, in another mode or into another table, and
 * was killed before it could take them away: routing daemons would go on redistributing them. Only what looks like a
 * route of ours: to the single address, over a link alone, with our protocol. What fails is logged.
 */
export async function removeStrayRoutes(
  { kernel, log }: { readonly kernel: Kernel; readonly log: Logger },
  { vips, protocol, table }: StrayRoutes,
): Promise<void> {
  if (vips.size === 0 || protocol <= lastForeignProtocol) return;
  const isStray = (route: Route): boolean => {
    const { destination, nextHops } = route;
    if (destination === undefined || !vips.has(destination.address)) return false;
    if (destination.length !== hostLength(destination.address)) return false;
    const isForeign = route.table === table || route.table === localTable;
    return !isForeign && nextHops.every(({ gateway }) => gateway === undefined);
  };
  try {
    for (const route of (await kernel.routes({ protocol })).filter(isStray)) {
      kernel.removeRoute(route);
      const to = `${route.destination?.address ?? ''}/${route.destination?.length ?? ''}`;
      log.info('route of a predecessor that nobody wants removed', { route: to, table: route.table });
    }
  } catch (error) {
    log.warn('routes of a predecessor could not be removed', { error: messageOf(error) });
  }
}
