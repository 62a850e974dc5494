import type { Election } from './types.ts';

/**
 * For modes without an election: this node holds from the start until it stops, and so does every other.
 * There is no lease; the status names none.
 */
export function createUncontestedElection(identity: string): Election {
  let isHolder = false;
  return {
    run: async (listener, signal) => {
      if (signal.aborted) return;
      isHolder = true;
      listener.acquired({ holds: () => isHolder });
      await new Promise<void>((resolve) => {
        const stop = (): void => {
          resolve();
        };
        signal.addEventListener('abort', stop, { once: true });
        if (signal.aborted) resolve();
      });
      isHolder = false;
      listener.lost('released');
      await listener.withdrawn?.();
    },
    recheck: () => undefined,
    resign: () => undefined,
    status: () => ({
      lease: '',
      identity,
      holder: identity,
      isHolder,
      lastRenewAgeMs: undefined,
      transitions: 0,
      lastReason: '',
      lastError: undefined,
    }),
  };
}
