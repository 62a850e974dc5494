/** What ends a process in good order. Any of them by itself would end it at once, and leave in the kernel what is there. */
export const endings = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

export type Ending = (typeof endings)[number];

/** Signals of the first moments, for whom it concerns. */
export interface HeldSignals {
  /**
   * What has come so far, each once, oldest first, to somebody who listens already: from now on nothing is held. A signal that the kernel has
   * delivered, but no turn of the event loop has brought yet, reaches the new listener.
   */
  takeOver(): readonly Ending[];
  /** Nobody will take over: they end the process from now on as they do any other, one that has come at once. */
  release(): void;
}

/**
 * Keeps signals that would end the process until it is known what it has to do. Called first of all: what Node does
 * before it runs anything of ours (half of the way) cannot be covered.
 */
export function holdSignals(): HeldSignals {
  const held = new Set<Ending>();
  let isReleased = false;
  const hold = (name: Ending): void => {
    if (isReleased) endBy(name);
    else held.add(name);
  };
  for (const name of endings) process.on(name, hold);
  return {
    takeOver: () => {
      for (const name of endings) process.off(name, hold);
      return [...held];
    },
    release: () => {
      isReleased = true;
      const [first] = held;
      if (first !== undefined) endBy(first);
    },
  };
}

/** As if nobody had listened. The first process of a container outlives its own signal, which is why it exits, too. */
function endBy(name: Ending): void {
  process.removeAllListeners(name);
  process.kill(process.pid, name);
  process.exit(1);
}
