// Loaded into a daemon before its program: answers, on the socket named by SOAK_INSIDE, what only the process itself can know.
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What is left when all garbage was collected. */
export interface Inside {
  readonly rss: number;
  readonly heapUsed: number;
  /** Memory of C++ objects bound to JavaScript ones, and of array buffers. */
  readonly external: number;
  /** How late the event loop was since the last question, milliseconds. */
  readonly delay: { readonly median: number; readonly longest: number };
  /** Of the event loop, each kind with how many there are: timers, sockets, requests. */
  readonly resources: Readonly<Record<string, number>>;
}

const resolutionMs = 20;

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const file = process.env['SOAK_INSIDE'];
if (file !== undefined) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  rmSync(file, { force: true });
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  delays.enable();
  // It has the intervals between its own ticks.
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs);
  createServer((asker) => {
    asker.on('error', () => undefined);
    const delay = { median: late(delays.percentile(50)), longest: late(delays.max) };
    collect();
    collect();
    delays.reset();
    const { rss, heapUsed, external } = process.memoryUsage();
    const resources = count(process.getActiveResourcesInfo());
    const inside: Inside = { rss, heapUsed, external, delay, resources };
    asker.end(JSON.stringify(inside));
  })
    .listen(file)
    .unref();
}
