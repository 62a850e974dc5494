// Runs on a client: opens a new connection with an HTTP request every so often and notes what became of it. One JSON
// object per line on standard output: `{"live": ...}` now and then, `{"report": ...}` when standard input is closed.
import { readFileSync } from 'node:fs';
import http from 'node:http';

export interface LoadConfig {
  readonly url: string;
  readonly perSecond: number;
  /** A request that has no answer by then has failed. */
  readonly timeoutMs: number;
  /** Each connection gets the next local port: see `Requests`. */
  readonly firstPort: number;
}

export interface LoadReport {
  readonly sent: number;
  readonly answered: number;
  /** Wall-clock milliseconds at which it was sent, and the error. */
  readonly failed: readonly { readonly at: number; readonly error: string }[];
  /** Longest time from sending to the answer, of those answered; a lost SYN costs a second. */
  readonly longestMs: number;
  readonly longestAt: number;
  readonly medianMs: number;
  /** Answered later than 200 ms after sending. */
  readonly late: number;
  /** Longest time without any answer. */
  readonly longestSilenceMs: number;
  readonly silenceAt: number;
  /** Answers by the `pod` that the body names, and by its `backend.pod` if it has one. */
  readonly byPod: Readonly<Record<string, number>>;
  readonly byBackend: Readonly<Record<string, number>>;
  readonly bySource: Readonly<Record<string, number>>;
  /** SYNs that this machine sent again meanwhile: the first one was lost, or not answered for a second. */
  readonly synRetransmits: number;
  /** Longest time in which this process itself did not run. */
  readonly ownStallMs: number;
}

export type LoadLine =
  | {
      readonly live: {
        readonly sent: number;
        readonly answered: number;
        readonly failed: number;
        readonly pod: string;
      };
    }
  | { readonly report: LoadReport };

interface Answer {
  readonly pod?: string;
  readonly source?: string;
  readonly backend?: { readonly pod?: string };
}

const config = JSON.parse(process.argv[2] ?? '') as LoadConfig;
const print = (line: LoadLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
const wallOffset = Date.now() - performance.now();
const now = (): number => wallOffset + performance.now();

const latencies: number[] = [];
const failed: { at: number; error: string }[] = [];
const counts = {
  byPod: new Map<string, number>(),
  byBackend: new Map<string, number>(),
  bySource: new Map<string, number>(),
};
let sent = 0;
let nextPort = config.firstPort;
let [longestMs, longestAt] = [0, 0];
let [longestSilenceMs, silenceAt] = [0, 0];
let lastAnswerAt = now();
let lastPod = '';
let ownStallMs = 0;

/** TcpExt TCPSynRetrans of this network namespace. */
function synRetransmits(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/netstat', 'utf8').split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('TCPSynRetrans')]);
}

const synRetransmitsBefore = synRetransmits();

function count(into: Map<string, number>, name: string | undefined): void {
  if (name !== undefined) into.set(name, (into.get(name) ?? 0) + 1);
}

function answered(at: number, body: string): void {
  const end = now();
  latencies.push(end - at);
  if (end - at > longestMs) [longestMs, longestAt] = [end - at, at];
  if (end - lastAnswerAt > longestSilenceMs)
    [longestSilenceMs, silenceAt] = [end - lastAnswerAt, lastAnswerAt];
  lastAnswerAt = end;
  const answer = JSON.parse(body) as Answer;
  count(counts.byPod, answer.pod);
  count(counts.byBackend, answer.backend?.pod);
  count(counts.bySource, answer.source);
  lastPod = answer.pod ?? '';
}

function ask(): void {
  const at = now();
  sent++;
  const fail = (error: string): void => {
    failed.push({ at, error });
  };
  const localPort = nextPort;
  nextPort = nextPort >= 60_000 ? 10_000 : nextPort + 1;
  const options = { agent: false, timeout: config.timeoutMs, localPort };
  const request = http.get(config.url, options, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => (body += chunk));
    response.on('end', () => {
      if (response.statusCode === 200) answered(at, body);
      else fail(`status ${response.statusCode ?? 0}: ${body.slice(0, 200)}`);
    });
    response.on('error', (error) => fail(error.message));
  });
  request.on('timeout', () => request.destroy(new Error('no answer in time')));
  request.on('error', (error: NodeJS.ErrnoException) => {
    // Some other program here has the port: nothing was sent, so nothing was measured.
    if (error.code === 'EADDRINUSE') {
      sent--;
      ask();
    } else fail(error.code ?? error.message);
  });
}

function report(): LoadReport {
  const sorted = latencies.toSorted((a, b) => a - b);
  const object = (map: ReadonlyMap<string, number>): Record<string, number> =>
    Object.fromEntries([...map].sort());
  return {
    sent,
    answered: latencies.length,
    failed,
    longestMs,
    longestAt,
    medianMs: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
    late: latencies.filter((ms) => ms > 200).length,
    longestSilenceMs,
    silenceAt,
    byPod: object(counts.byPod),
    byBackend: object(counts.byBackend),
    bySource: object(counts.bySource),
    synRetransmits: synRetransmits() - synRetransmitsBefore,
    ownStallMs,
  };
}

const startedAt = performance.now();
let lastTurn = startedAt;
let due = 0;
const pace = setInterval(() => {
  const turn = performance.now();
  ownStallMs = Math.max(ownStallMs, turn - lastTurn);
  lastTurn = turn;
  // What a stall of this process delayed is made up for in one go, up to a limit.
  for (let n = 0; n < 20 && due < ((turn - startedAt) * config.perSecond) / 1000; n++, due++) ask();
}, 2);
const tell = setInterval(() => {
  print({ live: { sent, answered: latencies.length, failed: failed.length, pod: lastPod } });
}, 50);

process.stdin.on('end', () => {
  clearInterval(pace);
  const end = performance.now() + config.timeoutMs + 500;
  const wait = setInterval(() => {
    if (latencies.length + failed.length < sent && performance.now() < end) return;
    clearInterval(wait);
    clearInterval(tell);
    print({ report: report() });
    process.exitCode = 0;
  }, 10);
});
process.stdin.resume();
