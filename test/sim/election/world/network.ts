import type { Random } from '../../../../src/lib/clock.ts';
import { StoreError } from '../../../../src/election/store.ts';
import type { LeaseChange, StoredLease, StoreErrorKind } from '../../../../src/election/store.ts';
import type { MemoryLease } from '../../../../src/testing/memory-lease.ts';
import { between } from './random.ts';
import type { Timeline } from './timeline.ts';

/** What is wrong between one node and the API server right now. */
export interface Path {
  /** Connections are refused at once, or packets vanish. */
  down: 'no' | 'refused' | 'black-hole';
  lostRequests: number;
  lostReplies: number;
  /** Bounds of the delay of each direction, ms. */
  leastDelayMs: number;
  delayMs: number;
  /** Answered instead of being carried out, with this probability. */
  errors: { readonly kind: StoreErrorKind; readonly share: number } | undefined;
  /** Watch events are not delivered; the end of a gap brings the state at that time. */
  watchGap: boolean;
  watchLagMs: number;
  /** Watch events are in order, so one that is late keeps back all after it until then. */
  watchBusyUntil: number;
}

export function healthyPath(): Path {
  return {
    down: 'no',
    lostRequests: 0,
    lostReplies: 0,
    leastDelayMs: 0.2,
    delayMs: 5,
    errors: undefined,
    watchGap: false,
    watchLagMs: 10,
    watchBusyUntil: 0,
  };
}

interface Network {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly lease: MemoryLease;
}

/** Carries one call over a bad path. `deliver` is how anything reaches the node. */
export function carry(
  network: Network,
  path: Path,
  deliver: (action: () => void) => void,
  operation: () => StoredLease,
): Promise<StoredLease> {
  const { timeline, random } = network;
  return new Promise((resolve, reject) => {
    const refuse = (kind: StoreErrorKind): void => {
      timeline.in(between(random, 0.2, 2), () => {
        deliver(() => {
          reject(new StoreError(kind, kind));
        });
      });
    };
    if (path.down === 'refused') {
      refuse('unreachable');
      return;
    }
    if (path.down === 'black-hole' || random() < path.lostRequests) return;
    const { errors } = path;
    if (errors !== undefined && errors.kind !== 'garbage' && random() < errors.share) {
      refuse(errors.kind);
      return;
    }
    timeline.in(between(random, path.leastDelayMs, path.delayMs), () => {
      const answer = outcome(operation);
      if (path.down === 'black-hole' || random() < path.lostReplies) return;
      const garbled = path.errors?.kind === 'garbage' && random() < path.errors.share;
      timeline.in(between(random, path.leastDelayMs, path.delayMs), () => {
        deliver(() => {
          if (garbled) reject(new StoreError('garbage', 'garbage'));
          else if (answer instanceof StoreError) reject(answer);
          else resolve(answer);
        });
      });
    });
  });
}

function outcome(operation: () => StoredLease): StoredLease | StoreError {
  try {
    return operation();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

/** Delivers watch events in order, late, or not at all. Returns how to bring a watch up to date after a gap. */
export function carryWatch(
  network: Network,
  path: Path,
  deliver: (action: () => void) => void,
  onChange: (change: LeaseChange) => void,
  signal: AbortSignal,
): () => void {
  const { timeline, random, lease } = network;
  const send = (change: LeaseChange): void => {
    const at = timeline.now + between(random, 0.2, path.watchLagMs);
    path.watchBusyUntil = Math.max(path.watchBusyUntil, at);
    timeline.in(path.watchBusyUntil - timeline.now, () => {
      if (path.watchGap) return;
      deliver(() => {
        if (!signal.aborted) onChange(change);
      });
    });
  };
  const unsubscribe = lease.subscribe((change) => {
    if (!path.watchGap) send(change);
  });
  signal.addEventListener('abort', unsubscribe, { once: true });
  return () => {
    const { current } = lease;
    send(
      current === undefined ? { kind: 'absent', version: undefined } : { kind: 'present', lease: current },
    );
  };
}
