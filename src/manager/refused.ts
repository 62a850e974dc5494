import { controlPlaneVips, type Config } from '../config/index.ts';
import { messageOf } from '../lib/errors.ts';
import { openKernel, systemClock } from '../linux/index.ts';
import { createNode } from '../node/index.ts';
import { createLogger } from '../observe/index.ts';
import { leaveNothing } from './forwarding.ts';
import { routesOf } from './routing-table.ts';

/**
 * After settings that were refused: takes the control-plane VIPs that could be read, with their routes and what
 * balances them, off the node. A process that was killed may have left them, and this one will be restarted over and
 * over without ever knowing who holds. VIPs of Services stay: whose they are depends on settings that may be the
 * refused ones. Never throws.
 */
export async function clearAfterRefusal(readable: Config): Promise<void> {
  const config = { ...readable, enableServices: false };
  const clock = systemClock();
  const write = (line: () => string): void => void process.stderr.write(line());
  const log = createLogger({ level: config.logging, format: config.logFormat, write, clock });
  try {
    const vips = controlPlaneVips(config);
    if (vips.length === 0) return;
    const kernel = openKernel({ clock });
    const node = createNode(
      { kernel, clock, log },
      { isClaimed: (vip) => vips.some((own) => own.vip === vip), ...routesOf(config) },
    );
    try {
      await node.start();
      await leaveNothing({ config, clock, log, kernel, node, controlPlaneVips: { now: () => vips } });
    } finally {
      node.close();
      kernel.close();
    }
  } catch (error) {
    log.debug('what a predecessor left was not looked for', { error: messageOf(error) });
  }
}
