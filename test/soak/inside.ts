// Loaded into a daemon before its program: answers, on the socket named by SOAK_INSIDE, what only the process itself can know.
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What is left when all garbage was collected. */
export interface Inside {
  readonly rss: number;
  readonly heapUsed: number;
  /** Memory of C++ objects bound to JavaScript ones, and of array buffers. */
  readonly external: number;
  /** Of the event loop, each kind with how many there are: timers, sockets, requests. */
  readonly resources: Readonly<Record<string, number>>;
}

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
  createServer((asker) => {
    asker.on('error', () => undefined);
    collect();
    collect();
    const { rss, heapUsed, external } = process.memoryUsage();
    const inside: Inside = { rss, heapUsed, external, resources: count(process.getActiveResourcesInfo()) };
    asker.end(JSON.stringify(inside));
  })
    .listen(file)
    .unref();
}
