import { setFlagsFromString } from 'node:v8';

/** With more Services than these a take-over is long enough for what V8 does meanwhile to count. */
const many = 500;

/** So many that a take-over of them all is worth being prepared for. */
export function areMany(services: number): boolean {
  return services > many;
}

/**
 * A node that takes over runs the same few functions a thousand times, and no more for hours: to V8 that looks as if they were
 * worth optimizing, on four threads that take the processors from the take-over itself. At ten times the usual counts only what
 * runs all the time is: announcing, of a thousand VIPs after twelve seconds.
 */
const optimizeLater = [
  '--invocation-count-for-maglev=4000',
  '--invocation-count-for-maglev-osr=2000',
  '--invocation-count-for-turbofan=30000',
];

/** What takes a VIP over does not run for hours on a node that stands by. It costs a megabyte. */
const keepBytecode = '--no-flush-bytecode';

/**
 * The old objects may double before V8 marks them all. At rest it would allow 8 MB more than it kept, of which a thousand VIPs
 * take 6: a node that has stood by for a while began to mark in the middle of a take-over, which on two processors took 60 ms
 * more. What has grown until then is collected when the node is at rest (`memory.ts`).
 */
const collectLater = '--heap-growing-percent=100';

/**
 * Returns what is to be told the number of Services whenever it changes. With many of them V8 does, from then on, what else
 * would come while VIPs wait before or after: it keeps its bytecode, optimizes later, and has room for a take-over.
 *
 * @param setFlag of V8; takes effect from the next collection, or call.
 */
export function tuneForMany(
  setFlag: (flag: string) => void = setFlagsFromString,
): (services: number) => void {
  let isTuned = false;
  return (services) => {
    if (isTuned || !areMany(services)) return;
    isTuned = true;
    for (const flag of [keepBytecode, collectLater, ...optimizeLater]) setFlag(flag);
  };
}
