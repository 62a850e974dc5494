import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { requireComponent, type Machine } from '../../lab/index.ts';
import type { Path } from './paths.ts';
import { first } from './priority.ts';

/** What is measured. All but the last are requests of wrk. */
export const kinds = ['requests', 'multiplexed', 'connections', 'bulk'] as const;
export type Kind = (typeof kinds)[number];

/** One slice of one path. */
export interface Sample {
  /** Requests/s, connections/s or Gbit/s. */
  readonly rate: number;
  /** Latency of a request; microseconds. */
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
  /** Time of all CPUs, client and servers included, for one request; microseconds. */
  readonly cpuUs?: number;
  /** Requests that were not answered. */
  readonly failed?: number;
}

interface WrkReport {
  readonly requests: number;
  readonly microseconds: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/**
 * Requests on their way on each connection when they are multiplexed. Clients of an API server do that, by HTTP/2. With
 * one at a time each needs two system calls and a wake-up at either end, and the way between is a tenth of the cost.
 */
export const depth = 8;

/** Sends so many at once; wrk counts each. */
const multiplexing = `
local requests
init = function(args) requests = string.rep(wrk.format(), ${depth}) end
request = function() return requests end
`;

/** wrk prints no percentile above 99 by itself. */
const reporting = `
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"failed":%d,"p50":%d,"p99":%d,"p999":%d}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
`;

const threads = os.availableParallelism();

export interface MeasureOptions {
  readonly seconds: number;
  /** Connections that wrk keeps busy. */
  readonly clients: number;
}

export async function measure(
  client: Machine,
  { target, holder }: Path,
  kind: Kind,
  options: MeasureOptions,
): Promise<Sample> {
  if (kind === 'bulk') return measureBulk(client, target, options.seconds);
  const file = path.join(client.dir, 'report.lua');
  writeFileSync(file, kind === 'multiplexed' ? multiplexing + reporting : reporting);
  const close = kind === 'connections' ? ['-H', 'Connection: close'] : [];
  const url = `http://${target.address}:${target.port}/`;
  const args = [
    // Otherwise one thread of the client is the limit, and what the other half of the way costs is not seen.
    `-t${threads}`,
    `-c${options.clients}`,
    `-d${options.seconds}`,
    '--timeout',
    '5',
    '-s',
    file,
    ...close,
    url,
  ];
  const before = busyMicroseconds();
  const [program = '', ...rest] = first(requireComponent('wrk'), ...args);
  const output = await client.run(program, rest);
  const busy = busyMicroseconds() - before;
  const line = output.split('\n').find((each) => each.startsWith('{')) ?? '';
  const { requests, microseconds, failed, p50, p99, p999 } = JSON.parse(line) as WrkReport;
  if (requests === 0) throw new Error(`no answer from ${url}`);
  // What is left of these connections must not be in the way of the next slice.
  await holder.tryRun('conntrack', ['-F']);
  return { rate: (requests / microseconds) * 1e6, p50, p99, p999, failed, cpuUs: busy / requests };
}

async function measureBulk(
  client: Machine,
  { address, bulkPort }: Path['target'],
  seconds: number,
): Promise<Sample> {
  const args = ['-J', '-c', address, '-p', String(bulkPort), '-t', String(seconds)];
  const [program = '', ...rest] = first(requireComponent('iperf3'), ...args);
  const output = await client.run(program, rest);
  const report = JSON.parse(output) as {
    readonly end: { readonly sum_received: { readonly bits_per_second: number } };
  };
  return { rate: report.end.sum_received.bits_per_second / 1e9 };
}

/** Time that all CPUs have worked so far, in user, system and interrupts: fields of /proc/stat in ticks of 10 ms. */
function busyMicroseconds(): number {
  const [, user = '0', nice = '0', system = '0', , , irq = '0', softirq = '0'] = readFileSync(
    '/proc/stat',
    'utf8',
  )
    .split('\n', 1)
    .join('')
    .split(/\s+/);
  const ticks = [user, nice, system, irq, softirq].reduce((sum, each) => sum + Number(each), 0);
  return ticks * 10_000;
}
