import { readdirSync, readFileSync } from 'node:fs';

/** Time on a CPU so far, all threads, in seconds: schedstat counts nanoseconds where stat counts 10 ms ticks. */
export function cpuSeconds(pid: number): number {
  const spent = readdirSync(`/proc/${pid}/task`).map((task) => {
    const [ns = '0'] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
    return Number(ns);
  });
  return spent.reduce((sum, ns) => sum + ns, 0) / 1e9;
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
