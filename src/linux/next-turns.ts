import type { Timer } from '../lib/clock.ts';

/** What waits for the next turn of the event loop may take this long together; what is left follows in the one after. */
const shareMs = 5;

interface Waiting extends Timer {
  /** Undefined: cancelled. It keeps its place, so that no one that comes later gets it. */
  callback: (() => void) | undefined;
}

/**
 * Work for the next turn of the event loop: behind what is ready to be read, first come first served. Each piece is short
 * by itself, and a node that takes thousands of VIPs over has six kinds of them at once: after each turn sockets and
 * timers come first again.
 */
export class NextTurns {
  private readonly now: () => number;
  private readonly waiting = new Set<Waiting>();
  /** When the share of this turn is used up; undefined: nothing has run in it yet. */
  private end: number | undefined;

  constructor(now: () => number) {
    this.now = now;
  }

  add(name: string, callback: () => void): Timer {
    const entry: Waiting = {
      name,
      at: this.now(),
      callback,
      cancel: () => {
        entry.callback = undefined;
      },
    };
    this.waiting.add(entry);
    // One for each, so that the promises of one have settled before the next one runs.
    setImmediate(this.run);
    return entry;
  }

  timers(): readonly Timer[] {
    return [...this.waiting].filter(({ callback }) => callback !== undefined);
  }

  private readonly run = (): void => {
    const [first] = this.waiting;
    if (first === undefined) return;
    if (this.end === undefined) {
      this.end = this.now() + shareMs;
      // Before all that is added from here on.
      setImmediate(this.turnEnded);
    } else if (this.now() >= this.end) {
      setImmediate(this.run);
      return;
    }
    this.waiting.delete(first);
    first.callback?.();
  };

  private readonly turnEnded = (): void => {
    this.end = undefined;
  };
}
