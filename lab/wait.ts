import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** What is waited for, as it should read after "timed out waiting for". */
  readonly what: string;
  /** Default 30 000: a busy machine is no failure. */
  readonly timeoutMs?: number;
  /** Pause between two looks; default 20, and 50 when it takes longer than a second. */
  readonly everyMs?: number;
  /** Said in the error, e.g. the last lines of a log. */
  readonly detail?: () => string;
  /** A reason to stop waiting early: the condition can no longer come true. */
  readonly hopeless?: () => string | undefined;
}

/**
 * Looks until the condition gives a value other than undefined, null or false, and returns it.
 * A condition that throws counts as "not yet"; the last such error is the cause of the time-out error.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, undefined | null | false>> {
  const began = performance.now();
  const deadline = began + (options.timeoutMs ?? 30_000);
  let cause: unknown;
  for (;;) {
    // Asked first: what came true just before hope was lost still counts.
    const lost = options.hopeless?.();
    const isLate = performance.now() > deadline;
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<T, undefined | null | false>;
      }
    } catch (error) {
      cause = error;
    }
    if (lost !== undefined || isLate) {
      const reason = lost === undefined ? 'timed out' : `${lost}: gave up`;
      const detail = options.detail?.() ?? '';
      throw new Error(`${reason} waiting for ${options.what}${detail === '' ? '' : `\n${detail}`}`, {
        cause,
      });
    }
    await sleep(options.everyMs ?? (performance.now() - began < 1_000 ? 20 : 50));
  }
}
