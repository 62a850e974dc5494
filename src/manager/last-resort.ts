import type { Logger } from '../lib/log.ts';
import type { Node } from '../node/index.ts';
import type { Signals } from './signals.ts';

/** So long the rest of the process may take to come to an end in good order. */
const LAST_ACTS_MS = 3000;

export interface LastResort {
  readonly close: () => void;
  /** Throws what happened, if anything did: the process has come to an end because of it. */
  readonly rethrow: () => void;
}

/**
 * An error that nobody expected ends the process, but not before its VIPs are gone: a supervisor may wait for minutes
 * before it starts another, and meanwhile another node gets the lease. They go at once, whatever state the rest is in;
 * then all comes to an end as after a signal, which gives the lease back, unless that takes too long.
 */
export function guardAgainstUnexpected(
  node: Pick<Node, 'status' | 'withdraw'>,
  signals: Pick<Signals, 'stop' | 'signal'>,
  log: Logger,
): LastResort {
  let happened: { readonly error: unknown } | undefined;
  const act = (error: unknown): void => {
    if (happened !== undefined) process.exit(1);
    happened = { error };
    setTimeout(() => process.exit(1), LAST_ACTS_MS).unref();
    withdrawAll(node);
    log.error('an error that nobody expected: the VIPs are gone, the process ends', { error });
    if (!signals.signal.aborted) signals.stop('an error that nobody expected');
  };
  process.on('uncaughtException', act);
  return {
    close: () => {
      process.off('uncaughtException', act);
    },
    rethrow: () => {
      if (happened !== undefined) throw happened.error;
    },
  };
}

function withdrawAll(node: Pick<Node, 'status' | 'withdraw'>): void {
  const owners = new Set(node.status().flatMap((status) => status.owners));
  for (const owner of owners) node.withdraw(owner);
}
