import type { Clock } from '../lib/clock.ts';
import { KubeError } from './errors.ts';

export interface DeadlineOptions {
  readonly clock: Clock;
  readonly path: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** What the timeout error says besides the time. */
  readonly whyLate?: () => string;
}

/** The caller's own signal ended the call. */
export function abortedError(path: string, cause: unknown): KubeError {
  return new KubeError({ kind: 'aborted', path, message: 'given up by the caller', cause });
}

/**
 * Runs `work` with a signal that aborts at the deadline (reason: KubeError `timeout`) or with the
 * caller's signal (KubeError `aborted`), or when `work` finds that waiting longer is in vain and calls `giveUp`.
 * Rejects at that moment even if `work` does not listen.
 */
export async function withDeadline<T>(
  options: DeadlineOptions,
  work: (signal: AbortSignal, giveUp: (why: KubeError) => void) => Promise<T>,
): Promise<T> {
  const { clock, path, timeoutMs, signal } = options;
  const controller = new AbortController();
  const timer = clock.after('kube-call', timeoutMs, () => {
    const late = options.whyLate?.() ?? '';
    controller.abort(
      new KubeError({ kind: 'timeout', path, message: `no answer within ${timeoutMs} ms${late}` }),
    );
  });
  const abort = (): void => {
    controller.abort(abortedError(path, signal?.reason));
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    if (signal?.aborted === true) abort();
    const giveUp = (why: KubeError): void => {
      controller.abort(why);
    };
    return await Promise.race([work(controller.signal, giveUp), aborted(controller.signal)]);
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', abort);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = (): void => {
      reject(signal.reason as KubeError);
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}
