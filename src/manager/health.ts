import type { Config } from '../config/index.ts';
import type { HealthGateListener, Probe, StandAside } from '../control-plane/index.ts';
import { createHealthProbe } from '../kube/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';

export interface HealthCheck {
  readonly probe: Probe;
  readonly gate: {
    readonly periodMs: number;
    /** 0: bounded by the period only. */
    readonly timeoutMs: number;
    readonly failureThreshold: number;
  };
}

/**
 * The check of `control_plane_health_check_address`; undefined where none is configured.
 *
 * @throws HealthCaError when the CA file cannot be used.
 */
export function healthCheck(config: Config): HealthCheck | undefined {
  const { controlPlaneHealthCheckAddress: address, controlPlaneHealthCheckCaPath: caPath } = config;
  if (address === '') return undefined;
  return {
    probe: createHealthProbe(address, caPath),
    gate: {
      periodMs: config.controlPlaneHealthCheckPeriodSeconds * 1000,
      timeoutMs: config.controlPlaneHealthCheckTimeoutSeconds * 1000,
      failureThreshold: config.controlPlaneHealthCheckFailureThreshold,
    },
  };
}

/**
 * In layer 2 a check that has never been good is believed for this long, so that nodes with a good one come first. Then it
 * says more about the setting than about the API server: a wrong URL or CA, which kube-vip never reads in that mode, must not
 * keep the VIP off all nodes.
 */
const UNPROVEN_MS = 30_000;

export interface VerdictParts {
  readonly check: HealthCheck;
  readonly isLayer2: boolean;
  readonly aside: Pick<StandAside, 'from' | 'over'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Logger;
  /** Told of every change, however few checks have failed. */
  readonly tell: (isHealthy: boolean) => void;
}

/** What the checks mean for this node's part in the election; `probe` takes the place of the check's own. */
export function actOnHealth(parts: VerdictParts): {
  readonly probe: Probe;
  readonly listener: HealthGateListener;
} {
  const { check, isLayer2, aside, clock, log, tell } = parts;
  let isProven = false;
  let closedAt: number | undefined;
  let isWarned = false;
  return {
    probe: async (signal) => {
      const problem = await check.probe(signal);
      isProven ||= problem === undefined;
      return problem;
    },
    listener: {
      closed: (why, failures) => {
        tell(false);
        if (failures < check.gate.failureThreshold) return;
        closedAt ??= clock.now();
        if (isProven || !isLayer2 || clock.now() - closedAt < UNPROVEN_MS) {
          aside.from(`local API server unhealthy (${failures} failures): ${why}`);
          return;
        }
        aside.over();
        if (isWarned) return;
        isWarned = true;
        log.warn(
          'the health check has never been good, so it counts only when it has: see control_plane_health_check_address and _ca_path',
          { error: why },
        );
      },
      reopened: () => {
        tell(true);
        aside.over();
        log.info('local API server healthy again');
      },
    },
  };
}
