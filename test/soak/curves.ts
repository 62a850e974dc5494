import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { cpuSeconds, memory } from '../../bench/process.ts';
import type { Machine } from '../../lab/index.ts';
import type { Site } from './site.ts';

/** One look at a node, in a quiet moment: figures by name. */
export type Sample = Readonly<Record<string, number>>;

/** What the figures may grow by between the first third of a soak and the last, beyond their scatter. */
const slack: Readonly<Record<string, number>> = {
  'heap MB': 1.5,
  'external MB': 1,
  // The allocators' own, in steps: what is used of it is judged above.
  'RSS MB': 20,
  'private MB': 20,
  'loop delay p50 ms': 5,
};

/** Not judged: shown. How many series there are depends on the VIPs that were here; those of Services that are gone are a violation. */
const shown = new Set([
  'metric series',
  'CPU s',
  'loop delay max ms',
  'services',
  'VIPs here',
  'addresses',
  'nft lines',
]);

const mega = 2 ** 20;

/** Figures of a daemon, after its garbage was collected, and of its kernel. */
export async function sampleOf(site: Site, node: Machine, services: number): Promise<Sample> {
  const daemon = site.daemon(node);
  const { pid } = daemon.process;
  const metrics = (await daemon.http('/metrics'))?.body ?? '';
  const inside = await site.inside(node);
  const { privateMb, rssMb } = memory(pid);
  const { resources } = inside;
  const rules = await node.run('nft', ['list', 'ruleset']);
  const addresses = (await node.run('ip', ['-o', 'addr', 'show', 'dev', 'eth0'])).trim().split('\n');
  return {
    'heap MB': inside.heapUsed / mega,
    'external MB': inside.external / mega,
    'RSS MB': rssMb,
    'private MB': privateMb,
    ...descriptors(pid),
    timers: resources['Timeout'] ?? 0,
    'active resources': Object.values(resources).reduce((sum, count) => sum + count, 0),
    'metric series': metrics.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    'loop delay p50 ms': inside.delay.median,
    'loop delay max ms': inside.delay.longest,
    'CPU s': cpuSeconds(pid),
    services,
    addresses: addresses.length,
    'nft lines': rules.split('\n').length,
  };
}

function descriptors(pid: number): Sample {
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
  const inodes = new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
  const netlink = column(pid, 'netlink', 9);
  const packet = column(pid, 'packet', 8);
  return {
    fds: targets.length,
    'netlink sockets': netlink.filter((inode) => inodes.has(inode)).length,
    'packet sockets': packet.filter((inode) => inodes.has(inode)).length,
  };
}

/** One column of a table of /proc/net, as the process sees it. */
function column(pid: number, table: string, index: number): readonly string[] {
  const lines = readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => line.trim().split(/\s+/)[index] ?? '');
}

export interface Trend {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly highest: number;
  /** Undefined: not judged. */
  readonly grew: boolean | undefined;
}

/** Below this many looks, thirds say nothing. */
export const ENOUGH = 12;

/** Share of the looks at the start that are not judged: what runs for the first time is compiled, and buffers find their size. */
const warmUp = 0.25;

/**
 * After the warm-up, the median of the last third against that of the first. It grew when it is higher by more than the slack of its kind and
 * more than the figures scatter within the thirds (their interquartile range).
 */
export function trendsOf(all: readonly Sample[]): readonly Trend[] {
  const samples = all.slice(Math.floor(all.length * warmUp));
  const third = Math.floor(samples.length / 3);
  return Object.keys(all[0] ?? {}).map((name) => {
    const values = samples.map((sample) => sample[name] ?? Number.NaN);
    const [early, late] = [values.slice(0, third), values.slice(-third)];
    const [first, last] = [quantile(early, 0.5), quantile(late, 0.5)];
    const scatter = Math.max(
      quantile(early, 0.75) - quantile(early, 0.25),
      quantile(late, 0.75) - quantile(late, 0.25),
    );
    const grew = last - first > Math.max(slack[name] ?? 2, scatter);
    const isJudged = !shown.has(name) && all.length >= ENOUGH;
    return { name, first, last, highest: Math.max(...values), grew: isJudged ? grew : undefined };
  });
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
