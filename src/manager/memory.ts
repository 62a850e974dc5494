import { constants, performance, PerformanceObserver } from 'node:perf_hooks';
import type { Clock, Timer } from '../lib/clock.ts';
import { trimHeap } from '../linux/index.ts';

export interface MemoryParts {
  readonly clock: Clock;
  /** Bytes that V8 has taken for objects of JavaScript, garbage included. */
  readonly heapTotal: () => number;
  /** The same when all garbage was last collected, by whomever; undefined: it has not been yet. */
  readonly afterCollection: () => number | undefined;
  /** Share of the time since the last call in which the event loop was busy. */
  readonly busy: () => number;
  /** Collects all garbage and closes the gaps. Undefined: the launcher has not asked V8 for it. */
  readonly collect: (() => void) | undefined;
  /** Gives what was freed outside of JavaScript back to the kernel; a millisecond, three after a burst. */
  readonly trim: () => void;
}

const everyMs = 20_000;
/**
 * So much more than after the last collection is worth another one: as a rule V8 has made one itself some seconds after a
 * burst, and another would free next to nothing. Not at once: code that has not run for a while
 * is collected, too, and has to be compiled again, a tenth of a second of work.
 */
const grownBytes = 8 << 20;
const againMs = 120_000;
/** Collecting stops everything else, for 24 ms without Services and 41 ms with 1 000: a larger heap stays as it is. */
const largestBytes = 40 << 20;
const atRest = 0.1;
/** V8 tells the owners of what lies outside of its heap a turn after it has collected their objects. */
const ownersMs = 1000;

/**
 * From time to time gives back what a burst of events has left behind, which V8 and the C library would keep for the next one:
 * with 1 000 Services 40 MB of 73 after a start. Returns what ends it.
 */
export function giveMemoryBack(parts: MemoryParts): () => void {
  const { clock, heapTotal, afterCollection, busy, collect, trim } = parts;
  let timer: Timer;
  let notBefore = -Infinity;
  const look = (): void => {
    const total = heapTotal();
    const isCalm = busy() <= atRest;
    const hasGrown = total >= (afterCollection() ?? 0) + grownBytes;
    const isWorthIt = hasGrown && total <= largestBytes && clock.now() >= notBefore;
    if (collect === undefined || !isWorthIt || !isCalm) {
      finish(everyMs);
      return;
    }
    collect();
    notBefore = clock.now() + againMs;
    timer = clock.after('trim heap', ownersMs, () => {
      finish(everyMs - ownersMs);
    });
  };
  const finish = (nextMs: number): void => {
    trim();
    timer = clock.after('spare memory', nextMs, look);
  };
  timer = clock.after('spare memory', everyMs, look);
  return () => {
    timer.cancel();
  };
}

/** The same for this process. */
export function giveOwnMemoryBack(clock: Clock): () => void {
  const { gc } = globalThis;
  let before = performance.eventLoopUtilization();
  const heapTotal = (): number => process.memoryUsage().heapTotal;
  let after: number | undefined;
  const collections = new PerformanceObserver((list) => {
    if (list.getEntries().some(isMajor)) after = heapTotal();
  });
  collections.observe({ entryTypes: ['gc'] });
  const end = giveMemoryBack({
    clock,
    heapTotal,
    afterCollection: () => after,
    busy: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    collect:
      gc === undefined
        ? undefined
        : () => {
            gc({ type: 'major', flavor: 'last-resort' });
          },
    trim: trimHeap,
  });
  return () => {
    collections.disconnect();
    end();
  };
}

/** Of all garbage, not of young objects alone. */
function isMajor(collection: object): boolean {
  const { kind } = (collection as { readonly detail?: { readonly kind?: number } }).detail ?? {};
  return kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}
