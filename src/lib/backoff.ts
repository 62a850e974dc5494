import type { Random } from './clock.ts';

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * Milliseconds to wait before try number `attempt` + 1 (attempt 1 is the first failure): doubling
 * from `baseMs` to `maxMs`, then spread over [1/2, 1] of that so that many nodes do not retry in step.
 */
export function backoffMs(attempt: number, options: BackoffOptions, random: Random): number {
  const full = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(attempt - 1, 30));
  return full * (0.5 + random() / 2);
}
