import { randomUUID } from 'node:crypto';
import { buildInfo, type Config, type LoadedConfig } from '../config/index.ts';
import { checkTimings } from '../election/index.ts';
import type { HeldSignals } from '../held-signals.ts';
import { aborted } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { endBesideResolver, systemClock } from '../linux/index.ts';
import {
  boundedWriter,
  collectStatus,
  gather,
  createLogger,
  createMetrics,
  watchProcess,
  type Metrics,
  statusJson,
  type StatusDocument,
} from '../observe/index.ts';
import { openApi, type Api } from './api.ts';
import { electionAt } from './election.ts';
import { StartError } from './errors.ts';
import { buildIpam, poolsPlace, type IpamFeature } from './ipam.ts';
import { LeaseWatches } from './lease-watches.ts';
import { openListeners } from './listeners.ts';
import { giveOwnMemoryBack } from './memory.ts';
import { listenForSignals, type Signals } from './signals.ts';
import { watchStatuses } from './status.ts';

/** What the command's own flags say. */
export interface CloudControllerOptions {
  /** `--leader-elect`: off for a process that is known to be alone. */
  readonly isElected: boolean;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** A kubeconfig to use instead of the service account. */
  readonly kubeconfig: string | undefined;
}

/**
 * `kube-vip cloud-controller`: gives Services their addresses and touches no network. Runs until it is told
 * to stop and resolves with the exit status.
 *
 * @param held signals that came before.
 * @throws StartError when the lease times cannot work, or there are no credentials.
 */
export async function runCloudController(
  loaded: LoadedConfig,
  options: CloudControllerOptions,
  held: HeldSignals,
): Promise<number> {
  requireTimings(options);
  const config = withTimings(loaded.config, options);
  endBesideResolver();
  const clock = systemClock();
  const { logging: level, logFormat: format } = config;
  const writeText = boundedWriter(process.stderr, (lines) => {
    log.warn('what was logged is lost in part: nobody read it in time', { lines });
  });
  const write = (line: () => string): void => {
    writeText(line());
  };
  const log = createLogger({ level, format, write, clock });
  const dumps: { dump?: () => void } = {};
  const signals = listenForSignals(
    {
      stopping: (why) => {
        log.info('shutting down', { reason: why });
      },
      dump: () => dumps.dump?.(),
    },
    held,
    clock,
  );
  try {
    log.info('kube-vip.io cloud controller', { version: buildInfo.version, build: buildInfo.build });
    for (const warning of loaded.warnings) log.warn(warning);
    const opening = openApi(config, [], { clock, random: Math.random, log }, options.kubeconfig);
    // Nothing has been done yet that would have to be put in order.
    const api = await Promise.race([opening, aborted(signals.signal)]);
    if (api === undefined) return 0;
    try {
      const tools = { api, clock, random: Math.random, log, metrics: createMetrics() };
      await run(config, options, tools, signals, dumps);
    } finally {
      api.client.close();
    }
    return 0;
  } finally {
    signals.close();
    log.flush();
  }
}

interface Tools {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

async function run(
  config: Config,
  options: CloudControllerOptions,
  tools: Tools,
  signals: Signals,
  dumps: { dump?: () => void },
): Promise<void> {
  const { api, clock, log, metrics } = tools;
  // Two on one machine are two candidates.
  const identity = `${config.nodeName}_${randomUUID()}`;
  const leaseWatches = new LeaseWatches(api, tools);
  const place = { namespace: config.ipamLeaseNamespace, name: config.ipamLeaseName };
  const watch = leaseWatches.watch(place.namespace, place.name);
  const election = options.isElected ? electionAt(place, watch, config, identity, api, tools) : undefined;
  const ipam = buildIpam(tools, election, {
    className: config.ipamClassEnabled ? config.ipamClassName : undefined,
    withoutClass: !config.ipamClassEnabled,
    addFinalizer: true,
    reserved: [],
    configMap: poolsPlace(config),
    component: 'kube-vip-cloud-controller',
    identity: config.nodeName,
  });
  const startedAt = clock.now();
  const status = (): StatusDocument => statusOf(config, tools, ipam, leaseWatches, startedAt);
  const processWatch = watchProcess(metrics);
  const stopGivingBack = giveOwnMemoryBack(clock);
  collectStatus(metrics, status);
  const listeners = openListeners(config, metrics, status, () => notReady(ipam), log);
  dumps.dump = () => {
    void gather(statusJson(status())).then((text) => process.stdout.write(text));
  };
  try {
    await ipam.run(signals.signal);
  } finally {
    stopGivingBack();
    processWatch.close();
    await listeners.close();
  }
}

function notReady(ipam: IpamFeature): readonly string[] {
  const waitingFor = ipam.waitingFor();
  return waitingFor === undefined ? [] : [waitingFor];
}

function statusOf(
  { nodeName }: Config,
  { clock, metrics }: Tools,
  ipam: IpamFeature,
  leaseWatches: LeaseWatches,
  startedAt: number,
): StatusDocument {
  const now = clock.now();
  const assignment = ipam.status();
  return {
    version: buildInfo.version,
    build: buildInfo.build,
    node: nodeName,
    pid: process.pid,
    time: new Date(clock.wall()).toISOString(),
    uptimeSeconds: (now - startedAt) / 1000,
    notReady: notReady(ipam),
    mode: 'cloud-controller',
    vips: [],
    balancer: undefined,
    peers: [],
    ipam: assignment,
    leases: ipam.leases(),
    watches: watchStatuses([...leaseWatches.statuses(), ...ipam.watches()], now),
    timers: clock.timers().map(({ name, at }) => ({ name, inMs: Math.round(at - now) })),
    claimants: [],
    counters: metrics.counters(),
  };
}

/** The command's own lease times; those of the VIPs mean nothing here. */
function withTimings(config: Config, options: CloudControllerOptions): Config {
  const seconds = (ms: number): number => Math.round(ms / 1000);
  return {
    ...config,
    leaseDuration: seconds(options.leaseDurationMs),
    renewDeadline: seconds(options.renewDeadlineMs),
    retryPeriod: seconds(options.retryPeriodMs),
  };
}

const flagNames: Readonly<Record<string, string>> = {
  vip_leaseduration: '--leader-elect-lease-duration',
  vip_renewdeadline: '--leader-elect-renew-deadline',
  vip_retryperiod: '--leader-elect-retry-period',
};

function requireTimings(options: CloudControllerOptions): void {
  const refusal = options.isElected ? checkTimings(options) : undefined;
  if (refusal === undefined) return;
  throw new StartError(refusal.replaceAll(/vip_[a-z]+/g, (name) => flagNames[name] ?? name));
}
