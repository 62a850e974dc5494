import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ensurePrivilege } from '../../../lab/index.ts';
import { mayGoFirst, realTimeThreads } from '../../../lab/proc.ts';
import { runBeforeOthers } from '../../../src/linux/scheduling.ts';

const refusal = ensurePrivilege();

test(
  'this thread goes before others until that ends, and no other one does',
  { skip: refusal?.because ?? false },
  async () => {
    const end = runBeforeOthers();
    try {
      assert.equal(end !== undefined, mayGoFirst());
      const first = end === undefined ? [] : [process.pid];
      assert.deepEqual(realTimeThreads(process.pid), first);
      assert.equal(end === undefined ? undefined : runBeforeOthers(), undefined, 'it goes first already');
      const worker = new Worker('require("node:worker_threads").parentPort.once("message", () => {})', {
        eval: true,
      });
      await once(worker, 'online');
      assert.deepEqual(realTimeThreads(process.pid), first, 'a thread that was made meanwhile');
      worker.postMessage('end');
      await once(worker, 'exit');
    } finally {
      end?.();
    }
    assert.deepEqual(realTimeThreads(process.pid), []);
  },
);
