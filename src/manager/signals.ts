export interface Signals {
  /** Aborts on the first SIGTERM or SIGINT, or when `stop` is called. */
  readonly signal: AbortSignal;
  readonly stop: (why: string) => void;
  readonly close: () => void;
}

/**
 * Turns process signals into one AbortSignal. A second SIGTERM or SIGINT calls `hurry`: waiting ends,
 * the removal of VIPs does not (it has already happened, synchronously, on the first).
 */
export function listenForSignals(handlers: {
  readonly stopping: (why: string) => void;
  readonly hurry: () => void;
  readonly dump: () => void;
}): Signals {
  const controller = new AbortController();
  const stop = (why: string): void => {
    if (controller.signal.aborted) {
      handlers.hurry();
      return;
    }
    handlers.stopping(why);
    controller.abort();
  };
  const onTerm = (name: NodeJS.Signals): void => {
    stop(name);
  };
  process.on('SIGTERM', onTerm);
  process.on('SIGINT', onTerm);
  process.on('SIGUSR1', handlers.dump);
  return {
    signal: controller.signal,
    stop,
    close: () => {
      process.off('SIGTERM', onTerm);
      process.off('SIGINT', onTerm);
      process.off('SIGUSR1', handlers.dump);
    },
  };
}
