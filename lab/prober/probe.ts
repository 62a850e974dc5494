// Runs on the client: sends a numbered UDP probe to the VIP every `intervalMs` and notes when and by whom it was
// answered. One JSON object per line on standard output: `{"live": ...}` now and then, and a `{"report": ...}` for every
// line on standard input and at the end, which comes when that is closed.
import dgram from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { analyse } from './gaps.ts';
import type { Analysis, Interval, Probe } from './gaps.ts';

export interface ProbeConfig {
  readonly target: string;
  readonly port: number;
  /** May be a fraction; default in the prober: 0.8. */
  readonly intervalMs: number;
  readonly lateMs: number;
  readonly reportMs: number;
}

export interface Live {
  readonly sent: number;
  readonly answered: number;
  /** Who answered last, and when (wall-clock milliseconds). */
  readonly by: string | undefined;
  readonly at: number | undefined;
}

export interface ProbeReport extends Analysis {
  readonly startedAt: number;
  readonly endedAt: number;
  /** While the prober ran: its stalls are left out. */
  readonly probesPerSecond: number;
  /** Longest time in which the prober itself did not run. */
  readonly longestStallMs: number;
  /** Probes answered by two different nodes. */
  readonly doubled: number;
}

export type ProbeLine = { readonly ready: true } | { readonly live: Live } | { readonly report: ProbeReport };

const config = JSON.parse(process.argv[2] ?? '') as ProbeConfig;
const print = (line: ProbeLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

// One reading of both clocks; from here on only the monotonic one is used.
const wallOffset = Date.now() - performance.now();
const now = (): number => wallOffset + performance.now();

const stallMs = 5;
const probes: { sentAt: number; answeredAt: number | undefined; by: string | undefined }[] = [];
const stalls: Interval[] = [];
let live: Live = { sent: 0, answered: 0, by: undefined, at: undefined };
let doubled = 0;
let answered = 0;

const family = config.target.includes(':') ? 6 : 4;
const socket = dgram.createSocket({
  type: family === 6 ? 'udp6' : 'udp4',
  recvBufferSize: 212_992,
  // The target is a literal: the default would go through the resolver's queue.
  lookup: (name, _options, callback) => {
    callback(null, name, family);
  },
});
socket.on('error', () => undefined);
socket.on('message', (message) => {
  const at = now();
  const probe = probes[message.readUInt32BE(0)];
  const by = message.toString('utf8', 4);
  if (probe === undefined) return;
  if (probe.answeredAt !== undefined) {
    if (probe.by !== by) doubled++;
    return;
  }
  probe.answeredAt = at;
  probe.by = by;
  live = { sent: probes.length, answered: ++answered, by, at };
});

let running = true;
process.stdin.on('data', () => void printReport(now()));
process.stdin.on('end', () => (running = false));

await new Promise<void>((resolve) => socket.bind(0, resolve));
print({ ready: true });
const startedAt = now();
let due = startedAt;
let lastTick = startedAt;
let lastLive = startedAt;
while (running) {
  const tick = now();
  if (tick - lastTick > stallMs) {
    stalls.push({ from: lastTick, to: tick });
    // What a stalled prober did not send is not made up for: a burst measures nothing more than one probe.
    due = Math.max(due, tick - config.intervalMs);
  }
  lastTick = tick;
  for (; due <= tick; due += config.intervalMs) {
    const message = Buffer.alloc(16);
    message.writeUInt32BE(probes.length);
    probes.push({ sentAt: now(), answeredAt: undefined, by: undefined });
    socket.send(message, config.port, config.target, () => undefined);
  }
  if (tick - lastLive >= 50) {
    lastLive = tick;
    print({ live: { ...live, sent: probes.length } });
  }
  // The shortest timer is 1 ms and usually late: the loop above sends what has become due meanwhile.
  await sleep(1);
}
const endedAt = now();
await printReport(endedAt);
socket.close();
process.stdin.destroy();

/** About the probes sent up to now, once all of them had their time. */
async function printReport(endedAt: number): Promise<void> {
  const sent = probes.length;
  await sleep(config.lateMs);
  const { lateMs, reportMs } = config;
  const stalledMs = stalls.reduce((sum, stall) => sum + (stall.to - stall.from), 0);
  const report: ProbeReport = {
    ...analyse(probes.slice(0, sent) satisfies readonly Probe[], stalls, { lateMs, reportMs, endedAt }),
    startedAt,
    endedAt,
    probesPerSecond: Math.round((sent / (endedAt - startedAt - stalledMs)) * 1000),
    longestStallMs: stalls.reduce((longest, stall) => Math.max(longest, stall.to - stall.from), 0),
    doubled,
  };
  print({ report });
}
