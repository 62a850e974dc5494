import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.ts';

/** How late the event loop was, in milliseconds, since the last scrape. */
export interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ProcessWatch {
  loopDelay(): LoopDelay;
  close(): void;
}

/**
 * Every sample wakes the process: ten a second cost 0.06 % of a CPU and were two thirds of all wakeups of a holder at
 * rest; fifty cost 0.33 %, more than the whole idle budget. The price: a stretch shorter than this is seen only when a
 * sample falls into it, so the percentiles need many scrapes to be true.
 */
const RESOLUTION_MS = 500;

/** Watches the event loop and fills in the process metrics at every scrape. */
export function watchProcess(metrics: Metrics): ProcessWatch {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  // The histogram holds intervals between its own timer's ticks: the resolution is not delay.
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  const read = (): LoopDelay => {
    if (histogram.count === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 };
    return {
      p50Ms: late(histogram.percentile(50)),
      p99Ms: late(histogram.percentile(99)),
      maxMs: late(histogram.max),
    };
  };
  const startedSeconds = Date.now() / 1000 - process.uptime();
  metrics.onScrape(() => {
    const delay = read();
    histogram.reset();
    metrics.eventLoopDelay.set({ quantile: '0.5' }, delay.p50Ms / 1000);
    metrics.eventLoopDelay.set({ quantile: '0.99' }, delay.p99Ms / 1000);
    metrics.eventLoopDelay.set({ quantile: '1' }, delay.maxMs / 1000);
    const cpu = process.cpuUsage();
    metrics.processCpu.advanceTo({}, (cpu.user + cpu.system) / 1e6);
    metrics.processMemory.set({}, process.memoryUsage.rss());
    metrics.processStart.set({}, startedSeconds);
    const fds = countFds();
    if (fds !== undefined) metrics.processFds.set({}, fds);
    return undefined;
  });
  return { loopDelay: read, close: () => void histogram.disable() };
}

function countFds(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    // A container may hide /proc; the metric is then absent.
    return undefined;
  }
}
