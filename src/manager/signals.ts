import type { Clock } from '../lib/clock.ts';
import { endings, type HeldSignals } from '../held-signals.ts';

export interface Signals {
  /** Aborts on the first signal that asks for an end, or when `stop` is called. */
  readonly signal: AbortSignal;
  readonly stop: (why: string) => void;
  readonly close: () => void;
}

/** A second signal ends all waiting after this long; the VIPs went with the first. */
const HURRY_MS = 1000;

/**
 * Turns process signals into one AbortSignal. After a second one the process ends soon: waiting ends,
 * the removal of VIPs does not: it has begun, synchronously, on the first, and what is left of very many the process takes along.
 *
 * @param held what has come before, which counts as if it came now.
 */
export function listenForSignals(
  handlers: {
    readonly stopping: (why: string) => void;
    readonly dump: () => void;
  },
  held: HeldSignals,
  clock: Clock,
): Signals {
  const controller = new AbortController();
  const stop = (why: string): void => {
    if (controller.signal.aborted) {
      clock.after('hurry', HURRY_MS, () => process.exit(0));
      return;
    }
    handlers.stopping(why);
    controller.abort();
  };
  const onTerm = (name: NodeJS.Signals): void => {
    stop(name);
  };
  for (const name of endings) process.on(name, onTerm);
  process.on('SIGUSR1', handlers.dump);
  for (const name of held.takeOver()) onTerm(name);
  return {
    signal: controller.signal,
    stop,
    close: () => {
      for (const name of endings) process.off(name, onTerm);
      process.off('SIGUSR1', handlers.dump);
    },
  };
}
