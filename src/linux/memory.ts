import type { Clock, Timer } from '../lib/clock.ts';
import { trimHeap } from './sys.ts';

/** Seconds to live with what a burst of events has left behind; a millisecond of work, two at most after a burst. */
const everyMs = 20_000;

/**
 * From time to time gives back what was freed outside of JavaScript: a start with 500 Services leaves 12 MB of it, and the C library
 * keeps all that is not at the very end of its heap. Returns what ends it.
 */
export function trimHeapRegularly(clock: Clock): () => void {
  let timer: Timer;
  const arm = (): void => {
    timer = clock.after('trim heap', everyMs, () => {
      trimHeap();
      arm();
    });
  };
  arm();
  return () => {
    timer.cancel();
  };
}
