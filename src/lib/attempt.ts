import type { Clock } from './clock.ts';
import { TimeoutError } from './errors.ts';

/**
 * Runs `work` with a signal that aborts with `parent` or after `ms`. Rejects with TimeoutError when the
 * time was up, else as `work` does.
 */
export async function attempt<T>(
  clock: Clock,
  name: string,
  ms: number,
  parent: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new TimeoutError(`no answer within ${ms} ms`);
  const controller = new AbortController();
  const abort = (): void => {
    controller.abort();
  };
  const timer = clock.after(name, ms, () => {
    controller.abort(late);
  });
  parent.addEventListener('abort', abort, { once: true });
  try {
    return await work(controller.signal);
  } catch (error) {
    throw controller.signal.reason === late ? late : error;
  } finally {
    timer.cancel();
    parent.removeEventListener('abort', abort);
  }
}
