import { readdirSync, readFileSync } from 'node:fs';

/** Time on a CPU so far, all threads, in seconds: schedstat counts nanoseconds where stat counts 10 ms ticks. */
export function cpuSeconds(pid: number): number {
  const spent = readdirSync(`/proc/${pid}/task`).map((task) => {
    const [ns = '0'] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
    return Number(ns);
  });
  return spent.reduce((sum, ns) => sum + ns, 0) / 1e9;
}

/** Milliseconds that the main thread has run so far, and those for which it waited for a processor. */
export function mainThread(pid: number): { readonly ran: number; readonly waited: number } {
  const [ran = '0', waited = '0'] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ');
  return { ran: Number(ran) / 1e6, waited: Number(waited) / 1e6 };
}

/**
 * Milliseconds, of all processors together, in which a hypervisor had this machine wait; in steps of ten. They count as
 * running for whoever ran.
 */
export function stolenMs(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  // proc_stat(5): the eighth number, in ticks of 10 ms.
  return Number(line.split(/\s+/)[8]) * 10;
}

/** Private and resident memory in MB (2^20), from the kernel's own sum over the mappings. */
export function memory(pid: number): { readonly privateMb: number; readonly rssMb: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kb = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { privateMb: (kb('Private_Clean') + kb('Private_Dirty')) / 1024, rssMb: kb('Rss') / 1024 };
}

/** The value below which this share (0-1) of them lies, NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
