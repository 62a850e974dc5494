import type { Config } from '../config/index.ts';
import type { Probe } from '../control-plane/index.ts';
import { createHealthProbe } from '../kube/index.ts';

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
