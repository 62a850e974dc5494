import { buildInfo, type LoadedConfig } from '../config/index.ts';
import type { HeldSignals } from '../held-signals.ts';
import { messageOf } from '../lib/errors.ts';
import { endBesideResolver, ownMissingCapabilities, systemClock } from '../linux/index.ts';
import { boundedWriter, createLeaseNews, createLogger, LogLines } from '../observe/index.ts';
import { withSessions } from './bgp.ts';
import { runControlPlane } from './control-plane.ts';
import { StartError } from './errors.ts';
import { leaveNothing } from './forwarding.ts';
import { managersIpam } from './ipam.ts';
import { guardAgainstUnexpected } from './last-resort.ts';
import { giveOwnMemoryBack } from './memory.ts';
import { modeName } from './mode.ts';
import { startObserving } from './observing.ts';
import { buildParts, closeParts, type Parts } from './parts.ts';
import { cleanRoutingTable, removeOldRoutes } from './routing-table.ts';
import { removeStrayServices } from './strays.ts';
import { buildServices } from './services.ts';
import { listenForSignals, type Signals } from './signals.ts';

/**
 * Runs the daemon until it is told to stop. Resolves with the exit status; rejects with a KubeVipError
 * that explains itself when it cannot start.
 *
 * @param held signals that came before; they end it in the same order as later ones.
 */
export async function runManager(loaded: LoadedConfig, held: HeldSignals): Promise<number> {
  const { config } = loaded;
  const clock = systemClock();
  const lines = new LogLines(
    boundedWriter(process.stderr, (texts) => {
      log.warn('what was logged is lost in part: nobody read it in time', { writes: texts });
    }),
  );
  const lastWords = (): void => lines.flush();
  // However the process ends.
  process.on('exit', lastWords);
  endBesideResolver();
  const log = createLogger({
    level: config.logging,
    format: config.logFormat,
    write: (line) => lines.add(line),
    clock,
  });
  // First of all, so that an end during the start leaves nothing of a predecessor either.
  const dumps: { dump?: () => void } = {};
  const signals = listenForSignals(
    {
      stopping: (why) => {
        log.info('Shutting down Kube-Vip', { reason: why });
      },
      dump: () => dumps.dump?.(),
    },
    held,
    clock,
  );
  try {
    log.info('kube-vip.io', { version: buildInfo.version, build: buildInfo.build });
    for (const warning of loaded.warnings) log.warn(warning);
    const features = { 'Control Plane': config.enableControlPlane, Services: config.enableServices };
    log.info('starting', { namespace: config.namespace, Mode: modeName(config), ...features });
    requireCapabilities();
    const parts = await buildParts(loaded, clock, log, signals.signal).catch((error: unknown) => {
      // Told to end, it ends: it does not matter any more that it could not have begun.
      if (!signals.signal.aborted) throw error;
      log.warn('the start was not finished', { error: messageOf(error) });
      return undefined;
    });
    if (parts !== undefined) await run(parts, signals, dumps);
    return 0;
  } finally {
    signals.close();
    log.flush();
    lines.flush();
    process.off('exit', lastWords);
  }
}

/** Campaigns until a signal or, where that is wanted, a lost lease. Everything is closed when it resolves. */
async function run(parts: Parts, signals: Signals, dumps: { dump?: () => void }): Promise<void> {
  const { config } = parts;
  const leaseNews = createLeaseNews(parts.metrics, parts.campaign.store.name);
  const leaseLost = (reason: string): void => {
    const unwanted = reason !== 'released' && reason !== 'resigned';
    if (unwanted && config.exitOnLeaseLoss) signals.stop(`lease ${reason}`);
  };
  const services = config.enableServices
    ? buildServices(parts, (_lease, reason) => {
        leaseLost(reason);
      })
    : undefined;
  if (config.servicesIpam) parts.reports.ipam = managersIpam(parts);
  const { ipam } = parts.reports;
  const observing = startObserving(parts, services);
  const stopGivingBack = giveOwnMemoryBack(parts.clock);
  const lastResort = guardAgainstUnexpected(parts.node, signals, parts.log);
  dumps.dump = () => {
    observing.dump();
  };
  const wiring = {
    ...parts,
    onTenure: (lost: string | undefined) => {
      if (lost === undefined) leaseNews.acquired();
      else leaseNews.lost(lost);
      if (lost !== undefined) leaseLost(lost);
    },
    onHolder: () => {
      observing.ready();
    },
  };
  try {
    cleanRoutingTable(parts, () => services?.operator.waitingFor() === undefined, signals.signal);
    await withSessions(parts, signals.signal, () => {
      const features = [
        removeOldRoutes(parts),
        ...(config.enableControlPlane ? [runControlPlane(wiring, signals.signal)] : []),
        ...(services === undefined ? [] : [services.run(signals.signal)]),
        ...(ipam === undefined ? [] : [ipam.run(signals.signal)]),
        removeStrayServices(parts, signals.signal),
      ];
      return together(features, signals.stop);
    });
  } catch (error) {
    await leaveNothing(parts);
    throw error;
  } finally {
    stopGivingBack();
    await observing.close();
    closeParts(parts);
    lastResort.close();
  }
  lastResort.rethrow();
}

/** Runs all to their end; when one breaks down the others are told to stop, and its error is thrown after that. */
async function together(features: readonly Promise<void>[], stop: (why: string) => void): Promise<void> {
  const results = await Promise.allSettled(
    features.map((feature) =>
      feature.catch((error: unknown) => {
        stop(messageOf(error));
        throw error;
      }),
    ),
  );
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** @throws StartError that names what is missing. */
function requireCapabilities(): void {
  const missing = ownMissingCapabilities();
  if (missing.length === 0) return;
  throw new StartError(
    `missing capability ${missing.join(' and ')}: VIPs cannot be put on a link or announced without; add it to securityContext.capabilities of the container, or run as root`,
  );
}
