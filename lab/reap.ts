// Started by a lab's shell when the lab's owner is gone, with the lab's folder as its argument.
import { setTimeout as sleep } from 'node:timers/promises';
import { reap } from './registry.ts';

const [, , dir] = process.argv;
if (dir !== undefined) {
  // The pipe closes a moment before the owner is out of the process table.
  for (let attempt = 0; attempt < 300 && !(await reap(dir)); attempt++) await sleep(100);
}
