import { setFlagsFromString } from 'node:v8';

/** With more Services than these a take-over is long enough for what it costs to compile it to count. */
const many = 500;

/**
 * Returns what is to be told the number of Services whenever it changes. On a node that stands by, what takes a VIP over does
 * not run for hours, and V8 throws the bytecode of such functions away when it collects garbage; then a thousand
 * VIPs wait while it is made again. With many Services it stays, for one more megabyte.
 *
 * @param setFlag of V8; takes effect from the next collection.
 */
export function compiledCodeKeeper(
  setFlag: (flag: string) => void = setFlagsFromString,
): (services: number) => void {
  let isKept = false;
  return (services) => {
    if (isKept || services <= many) return;
    isKept = true;
    setFlag('--no-flush-bytecode');
  };
}
