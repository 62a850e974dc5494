import type { Config } from '../config/index.ts';
import { messageOf } from '../lib/errors.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import { openForwardingPorts, openLeftoverPorts, type TcpListener } from '../linux/index.ts';
import {
  chooseBackend,
  createForwarding,
  findFacts,
  portConflict,
  removeForwarding,
  type Forwarding,
} from '../node/index.ts';
import { StartError } from './errors.ts';
import { servicesMark } from './instance.ts';
import type { Parts } from './parts.ts';
import { removeOldRoutes } from './routing-table.ts';

/** What is there before the API server is known. */
type EarlyParts = Pick<Parts, 'config' | 'clock' | 'log' | 'kernel' | 'node'> & PlaneVips;
type PlaneVips = { readonly controlPlaneVips: Pick<Parts['controlPlaneVips'], 'now'> };

/** What cannot be removed must not keep this node from serving. */
export async function removeLeftovers(parts: Omit<EarlyParts, 'node'>): Promise<void> {
  const { clock, log, kernel } = parts;
  try {
    const ports = await openLeftoverPorts(kernel);
    try {
      await removeForwarding({ ...ports, clock, log }, claimsOf(parts));
    } finally {
      ports.close();
    }
  } catch (error) {
    log.warn('what a predecessor balanced with could not be removed', { error: messageOf(error) });
  }
}

function claimsOf({
  config,
  controlPlaneVips,
}: Pick<EarlyParts, 'config' | 'controlPlaneVips'>): readonly { readonly vip: Ip; readonly port: number }[] {
  return controlPlaneVips.now().map(({ vip }) => ({ vip, port: config.loadBalancerPort }));
}

/**
 * After a control plane that could not start, or broke down: no VIP of it is on the node and nothing
 * balances, a predecessor's included; nor is a VIP of a Service that nobody wants. The process may end like this over and over, and a VIP must not
 * stay without its lease.
 */
export async function leaveNothing(parts: EarlyParts): Promise<void> {
  const { config, node } = parts;
  if (config.enableServices) node.sweep(({ address }) => address.protocol === servicesMark(config));
  const own = new Set(parts.controlPlaneVips.now().map(({ vip }) => vip));
  if (own.size === 0) return;
  node.withdraw('control-plane');
  node.sweepRoutes(({ destination }) => destination !== undefined && own.has(destination.address));
  node.sweep(({ address }) => own.has(address.address));
  await removeOldRoutes(parts);
  await removeLeftovers(parts);
}

/**
 * Opens the kernel's side of the balancer and chooses how to balance. Changes nothing.
 *
 * @throws StartError when `lb_backend` asks for what this kernel lacks, nothing can balance here, or the
 * port of a VIP is in use.
 */
export async function openForwarding(parts: Parts): Promise<Forwarding> {
  const { config, clock, log, kernel } = parts;
  const ports = await openForwardingPorts(kernel);
  const claims = claimsOf(parts);
  const methods = [config.loadBalancerForwardingMethod];
  const facts = await findFacts(ports, claims, methods, config.lbScheduler);
  const choice = chooseBackend(config.lbBackend, facts);
  if ('refused' in choice) throw new StartError(`lb_enable: ${choice.refused}`);
  refuseTakenPorts(config, claims, (await ports.listeners()) ?? [], log);
  const forwarding = createForwarding({ ...ports, clock, log }, { choice, claims });
  await forwarding.start();
  return {
    set: (specs) => {
      forwarding.set(specs);
    },
    status: () => forwarding.status(),
    start: () => Promise.resolve(),
    abandon: () => {
      forwarding.abandon();
    },
    close: async () => {
      await forwarding.close();
      ports.close();
    },
  };
}

/** @throws StartError when a service of this node would lose all its connections. */
function refuseTakenPorts(
  config: Config,
  claims: ReturnType<typeof claimsOf>,
  listeners: readonly TcpListener[],
  log: Logger,
): void {
  const { loadBalancerForwardingMethod: method, port: serverPort } = config;
  for (const claim of claims) {
    const conflict = portConflict(claim, { method, serverPort }, listeners);
    if (conflict?.isFatal === true) throw new StartError(`lb_port: ${conflict.text}`);
    if (conflict !== undefined) log.warn(`lb_port: ${conflict.text}`);
  }
}
