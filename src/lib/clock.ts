/** A pending timer. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  readonly name: string;
  /** Monotonic milliseconds at which it fires. */
  readonly at: number;
  cancel(): void;
}

/** All time in the program. Decisions use `now`; only records meant for other machines use `wall`. */
export interface Clock {
  /** Monotonic milliseconds, fractional, that also count while the machine is suspended. */
  now(): number;
  /** Wall clock, milliseconds since the epoch. */
  wall(): number;
  /** Runs `callback` once, at least `ms` milliseconds from now; never synchronously. */
  after(name: string, ms: number, callback: () => void): Timer;
  /** Resolves after `ms`, or at once when the signal aborts (an abort is a normal end, not an error). */
  sleep(name: string, ms: number, signal?: AbortSignal): Promise<void>;
  /** Pending timers, for the state dump. */
  timers(): readonly Timer[];
}

/** A source of uniform numbers in [0, 1), injected so that jitter is repeatable in tests. */
export type Random = () => number;

/** The `sleep` of a clock that has `after`. */
export function sleepBy(
  clock: Pick<Clock, 'after'>,
  name: string,
  ms: number,
  signal?: AbortSignal,
): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.after(name, ms, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
