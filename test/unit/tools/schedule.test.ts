import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Kind } from '../../../tools/runner/kinds.ts';
import { Schedule } from '../../../tools/runner/schedule.ts';
import type { Job } from '../../../tools/runner/schedule.ts';

const kind = (name: string, concurrency: number): Kind => {
  return { name, needs: 'nothing', concurrency, globs: [], fileTimeoutMs: 1, always: true };
};
const unit = { ...kind('unit', 3), niceness: 10 };
const kernel = { ...kind('kernel', 1), niceness: 10 };
const cluster = kind('cluster', 3);

const jobs = (of: Kind, names: string, startsApiServers = false): readonly Job[] =>
  names.split(' ').map((file) => ({ kind: of, file, startsApiServers }));

/** Runs the schedule on two cores; the files that ran together, whenever one was started. */
async function together(all: readonly Job[], abortAt?: string): Promise<readonly (readonly string[])[]> {
  const abort = new AbortController();
  const seen: (readonly string[])[] = [];
  const running = new Set<string>();
  const run = async ({ file }: Job): Promise<void> => {
    running.add(file);
    seen.push([...running]);
    if (file === abortAt) abort.abort();
    await new Promise<void>((resolve) => setImmediate(resolve));
    running.delete(file);
  };
  await new Schedule(all, 2).run(run, abort.signal);
  return seen;
}

const started = (seen: readonly (readonly string[])[]): readonly string[] =>
  seen.map((files) => files.at(-1) ?? '');

describe('which test files run beside one another', () => {
  const all = [
    ...jobs(unit, 'u1 u2 u3 u4'),
    ...jobs(cluster, 'c1 c2 c3'),
    ...jobs(cluster, 'r1 r2 r3', true),
    ...jobs(kernel, 'k1 k2'),
  ];

  test('every file runs once, three at a time', async () => {
    const seen = await together(all);
    assert.deepEqual(started(seen).toSorted(), all.map(({ file }) => file).toSorted());
    assert.equal(Math.max(...seen.map((files) => files.length)), 3);
  });

  test('those that start real API servers never do so together, nor are more of a kind than it allows', async () => {
    for (const files of await together(all)) {
      assert.ok(files.filter((file) => file.startsWith('r')).length <= 1, files.join());
      assert.ok(files.filter((file) => file.startsWith('k')).length <= 1, files.join());
    }
  });

  test('beside the API servers run at first one that waits and one that computes', async () => {
    assert.deepEqual((await together(all))[2], ['r1', 'c1', 'u1']);
  });

  test('after an abort no other file is started', async () => {
    assert.deepEqual(started(await together(all, 'c1')), ['r1', 'c1']);
  });
});
