import type { Clock, Timer } from '../lib/clock.ts';
import type { ServiceKey } from './types.ts';

/** This node's copy of the Services, as far as its worth goes. */
export interface ViewSource {
  /** Monotonic milliseconds: every change made before this moment is in the copy. Undefined before the first list. */
  provenAt(): number | undefined;
  /** Asks the API server for all of it, at once. */
  refresh(): void;
}

export interface ServicesViewParts {
  readonly source: ViewSource;
  readonly clock: Clock;
  /** These can be decided on now. */
  readonly current: (keys: Iterable<ServiceKey>) => void;
  /** The copy stays old: somebody else may be better placed to have what these wait for. */
  readonly stuck: (keys: Iterable<ServiceKey>) => void;
}

/**
 * Milliseconds. A watch proves every 8 to 12 s that it hears, and one that has gone deaf is replaced 2 s later;
 * a copy that was proven complete longer ago than this is old, and nothing new is taken on the strength of it.
 */
export const viewAgeMs = 15_000;
/**
 * How long after a node has seen that another lease decides about an address some node may still act on the former
 * one: more than `viewAgeMs`, for API servers, too, are a little behind each other.
 */
export const changeoverMs = 16_000;
/** A node that holds a lease and does nothing with it makes way after this long. */
const patienceMs = 3_000;
/** Whoever may speak in the name of others must not have us list all the time. */
const doubtPauseMs = 10_000;

/** Is the copy of the Services recent enough to act on, and if not, who waits for it? */
export class ServicesView {
  private readonly parts: ServicesViewParts;
  private readonly waiting = new Set<ServiceKey>();
  private timer: Timer | undefined;
  private doubtedAt = -Infinity;
  private interruptedAt = -Infinity;

  constructor(parts: ServicesViewParts) {
    this.parts = parts;
  }

  isCurrent(): boolean {
    const { clock, source } = this.parts;
    const at = source.provenAt();
    return at !== undefined && at >= this.interruptedAt && clock.now() - at <= viewAgeMs;
  }

  /** No call has come through for a while: what happened meanwhile is not known, however recent the copy is. */
  interrupted(): void {
    this.interruptedAt = this.parts.clock.now();
  }

  /** The Service is told as soon as the copy is current; if it is not yet asked for, it is now. */
  await(key: ServiceKey): void {
    this.waiting.add(key);
    if (this.timer !== undefined) return;
    this.parts.source.refresh();
    this.arm();
  }

  /** Something does not agree with the copy. */
  doubt(): void {
    const now = this.parts.clock.now();
    if (now < this.doubtedAt + doubtPauseMs) return;
    this.doubtedAt = now;
    this.parts.source.refresh();
  }

  /** A whole list has arrived. */
  listed(): void {
    if (this.waiting.size > 0 && this.isCurrent()) this.end(this.parts.current);
  }

  close(): void {
    this.timer?.cancel();
  }

  private arm(): void {
    this.timer = this.parts.clock.after('services-view', patienceMs, () => {
      this.end(this.isCurrent() ? this.parts.current : this.parts.stuck);
    });
  }

  private end(tell: (keys: Iterable<ServiceKey>) => void): void {
    this.timer?.cancel();
    this.timer = undefined;
    const keys = [...this.waiting];
    this.waiting.clear();
    tell(keys);
  }
}
