import type { Clock, Timer } from '../lib/clock.ts';
import type { ServiceKey } from './types.ts';

/** A turn of the event loop handles so many, then as many again if it is not this old yet; the rest waits for the next one. */
const atOnce = 128;
const turnMs = 8;

/**
 * Services that leave the node: a few at once, and of very many the rest in turns that follow one another without a pause,
 * so that whatever else the process has to do is not held up for a second.
 */
export class Withdrawals {
  private readonly clock: Clock;
  /** Takes these off the node; it is done on return. */
  private readonly withdraw: (keys: readonly ServiceKey[]) => void;
  private readonly waiting = new Set<ServiceKey>();
  private next: Timer | undefined;
  private done: PromiseWithResolvers<undefined> | undefined;

  constructor(clock: Clock, withdraw: (keys: readonly ServiceKey[]) => void) {
    this.clock = clock;
    this.withdraw = withdraw;
  }

  /** It is on the node, and is about to go. */
  has(key: ServiceKey): boolean {
    return this.waiting.has(key);
  }

  add(keys: readonly ServiceKey[]): void {
    for (const key of keys) this.waiting.add(key);
    // While others wait these wait behind them: many calls in one turn are no longer than one.
    if (this.next === undefined) this.turn();
  }

  /** It stays after all, or is gone. */
  drop(key: ServiceKey): void {
    this.waiting.delete(key);
  }

  /** Resolves when none waits any more; undefined: none does. Rejects when one could not be taken off the node. */
  ended(): Promise<void> | undefined {
    return this.done?.promise;
  }

  /** All that wait, in this turn. */
  finish(): void {
    this.turn(Infinity);
  }

  private takeSome(): readonly ServiceKey[] {
    const keys: ServiceKey[] = [];
    for (const key of this.waiting) {
      if (keys.length === atOnce) break;
      keys.push(key);
      this.waiting.delete(key);
    }
    return keys;
  }

  private turn(endAt = this.clock.now() + turnMs): void {
    this.next?.cancel();
    this.next = undefined;
    try {
      do {
        this.withdraw(this.takeSome());
      } while (this.waiting.size > 0 && this.clock.now() < endAt);
    } catch (error) {
      if (this.done === undefined) throw error;
      this.done.reject(error);
      this.done = undefined;
      return;
    }
    if (this.waiting.size === 0) {
      this.done?.resolve(undefined);
      this.done = undefined;
      return;
    }
    this.done ??= Promise.withResolvers<undefined>();
    this.next ??= this.clock.after('services-withdrawal', 0, () => {
      this.turn();
    });
  }
}
