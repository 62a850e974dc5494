import { setFlagsFromString } from 'node:v8';

/** With more Services than these a take-over is long enough for what it costs to compile it to count. */
const many = 500;

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

/**
 * Returns what is to be told the number of Services whenever it changes. On a node that stands by, what takes a VIP over does
 * not run for hours, and V8 throws the bytecode of such functions away when it collects garbage; then a thousand
 * VIPs wait while it is made again. With many Services it stays, for one more megabyte, and is optimized later.
 *
 * @param setFlag of V8; takes effect from the next collection, or call.
 */
export function compiledCodeKeeper(
  setFlag: (flag: string) => void = setFlagsFromString,
): (services: number) => void {
  let isKept = false;
  return (services) => {
    if (isKept || services <= many) return;
    isKept = true;
    for (const flag of ['--no-flush-bytecode', ...optimizeLater]) setFlag(flag);
  };
}
