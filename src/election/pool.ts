import type { Fence } from '../lib/fence.ts';
import type { LeaseLocation } from './location.ts';
import type { Election, ElectionListener } from './types.ts';

/** Hands out elections so that everyone who names the same lease shares one: they live and die together. */
export interface ElectionPool {
  /** A seat in the election over this lease. Each seat is run by one listener. */
  election(location: Pick<LeaseLocation, 'namespace' | 'name'>): Election;
}

/** `make` builds the real election over a lease; it is called once per lease for the life of the pool. */
export function createElectionPool(
  make: (location: Pick<LeaseLocation, 'namespace' | 'name'>) => Election,
): ElectionPool {
  const shared = new Map<string, SharedElection>();
  return {
    election: (location) => {
      const key = `${location.namespace}/${location.name}`;
      const existing = shared.get(key) ?? new SharedElection(make(location));
      shared.set(key, existing);
      return existing.seat();
    },
  };
}

/** One election under several listeners; it runs from the first who joins until the last has left. */
class SharedElection {
  private readonly inner: Election;
  private readonly members = new Set<ElectionListener>();
  private fence: Fence | undefined;
  private holder: string | undefined;
  private stop = new AbortController();
  private running: Promise<void> | undefined;

  constructor(inner: Election) {
    this.inner = inner;
  }

  seat(): Election {
    return {
      run: (listener, signal) => this.join(listener, signal),
      recheck: (why) => {
        this.inner.recheck(why);
      },
      resign: (why, pauseMs) => {
        this.inner.resign(why, pauseMs);
      },
      status: () => this.inner.status(),
    };
  }

  private async join(listener: ElectionListener, signal: AbortSignal): Promise<void> {
    // An election that is being stopped must have released its record before it starts again.
    while (this.stop.signal.aborted && this.running !== undefined) await this.running;
    if (signal.aborted) return;
    this.members.add(listener);
    const running = this.running ?? this.start();
    if (this.fence !== undefined) listener.acquired(this.fence);
    if (this.holder !== undefined) listener.observed?.(this.holder);
    const left = new Promise<'left'>((resolve) => {
      signal.addEventListener('abort', () => {
        this.leave(listener);
        resolve('left');
      });
    });
    const how = await Promise.race([running, left]);
    if (how === 'left' && this.stop.signal.aborted) await running;
    else if (how === 'left') await listener.withdrawn?.();
  }

  private start(): Promise<void> {
    this.stop = new AbortController();
    const running = this.inner.run(this.fanOut(), this.stop.signal).finally(() => {
      this.running = undefined;
      this.members.clear();
      this.fence = undefined;
      this.holder = undefined;
    });
    this.running = running;
    return running;
  }

  /** The last to leave stays a member until the election has ended, to be told that its tenure is over. */
  private leave(listener: ElectionListener): void {
    if (!this.members.has(listener)) return;
    if (this.members.size === 1) {
      this.stop.abort();
      return;
    }
    this.members.delete(listener);
    if (this.fence !== undefined) listener.lost('released');
  }

  private fanOut(): ElectionListener {
    return {
      acquired: (fence) => {
        this.fence = fence;
        for (const member of this.members) member.acquired(fence);
      },
      lost: (reason) => {
        this.fence = undefined;
        for (const member of this.members) member.lost(reason);
      },
      withdrawn: () => {
        const under = [...this.members].flatMap((member) => member.withdrawn?.() ?? []);
        return under.length === 0 ? undefined : Promise.all(under).then(() => undefined);
      },
      observed: (holder) => {
        this.holder = holder;
        for (const member of this.members) member.observed?.(holder);
      },
    };
  }
}
