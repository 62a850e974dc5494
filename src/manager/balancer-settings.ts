import type { Config, Sources } from '../config/index.ts';
import type { BalancerOptions } from '../control-plane/index.ts';
import { parseListenAddress } from '../observe/index.ts';
import { familyOf, ip, type Ip } from '../lib/ip.ts';
import type { Parts } from './parts.ts';

/** Backends whose probes failed within this time of each other are one outage. */
const TOGETHER_MS = 10_000;

/** What the settings say about backends and their probes. */
export function optionsFrom({ config }: Parts, sources: Sources, vips: readonly Ip[]): BalancerOptions {
  return {
    vips,
    rise: config.lbProbeRise,
    fall: config.lbProbeFall,
    drainMs: config.lbDrainSeconds * 1000,
    slowStartMs: config.lbSlowStartSeconds * 1000,
    togetherMs: TOGETHER_MS,
    probeIntervalMs: probeIntervalMs(config, sources),
    probeTimeoutMs: config.lbProbeTimeoutMs,
  };
}

/** kube-vip's own setting, in seconds, counts where somebody gave it and said nothing about ours. */
export function probeIntervalMs(config: Config, sources: Sources): number {
  const given = (name: 'backendHealthCheckInterval' | 'lbProbeIntervalMs'): boolean =>
    sources[name].kind !== 'default';
  if (given('lbProbeIntervalMs') || !given('backendHealthCheckInterval')) return config.lbProbeIntervalMs;
  return config.backendHealthCheckInterval * 1000;
}

/** Where this program listens on every node, if the settings are the same everywhere: one without it is no real server. */
export function presenceOf(
  config: Config,
): { readonly port: number; covers(host: string): boolean } | undefined {
  const listen = parseListenAddress(config.prometheusHttpServer);
  const port = listen?.port ?? config.healthCheckPort;
  if (port === 0) return undefined;
  const on = listen?.host;
  if (on === undefined || on === '::') return { port, covers: () => true };
  return on === '0.0.0.0' ? { port, covers: (host) => familyOf(ip(host)) === 4 } : undefined;
}
