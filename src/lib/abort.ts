/** Resolves once the signal has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      resolve();
    };
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
  });
}

/** Reads the flag through a function: it changes during an await, which the compiler does not see. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
