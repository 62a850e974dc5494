import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileResult, ReportLine, TestRecord } from './record.ts';

export interface RunFileOptions {
  readonly root: string;
  /** The whole file; its process group is ended when it takes longer. */
  readonly timeoutMs: number;
  /** A module to load before the file, relative to the root. */
  readonly preload: string | undefined;
  /** Only tests whose title has this word. */
  readonly only?: string;
  /** Of its process and all that it starts; 0 by default. */
  readonly niceness?: number;
  /** Folder in which Node keeps what it compiled, for this file and all that it starts: half of a short run's CPU time. */
  readonly compileCache?: string;
}

const OUTPUT_LIMIT = 1 << 20;
/** A file that is told to stop may still take its namespaces down. */
const STOP_GRACE_MS = 15_000;
const running = new Set<ChildProcess>();

/** Runs one test file in a process group of its own: a namespace, a crash or a hang stays in it. */
export async function runFile(file: string, options: RunFileOptions): Promise<FileResult> {
  const scratch = mkdtempSync(join(tmpdir(), 'kube-vip-test-'));
  const reportPath = join(scratch, 'report.jsonl');
  const started = performance.now();
  try {
    const ended = await runProcess(file, reportPath, options);
    const report = readReport(reportPath);
    const records = report.filter((line) => 'outcome' in line);
    const notes = report.filter((line) => 'note' in line).map(({ note }) => note);
    const cpuSeconds = report.reduce((sum, line) => sum + ('cpuSeconds' in line ? line.cpuSeconds : 0), 0);
    const seconds = (performance.now() - started) / 1000;
    return { file, records: withVerdict(records, ended), notes, seconds, cpuSeconds, output: ended.output };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Ends everything that still runs, for an interrupted runner. */
export function stopRunning(): void {
  for (const child of running) signalGroup(child, 'SIGTERM');
}

interface Ended {
  readonly how: string | undefined;
  readonly output: string;
}

function runProcess(file: string, reportPath: string, options: RunFileOptions): Promise<Ended> {
  const { compileCache } = options;
  const cacheEnv = compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache };
  const child = spawn(
    process.execPath,
    [
      `--test-reporter=${join(import.meta.dirname, 'reporter.ts')}`,
      `--test-reporter-destination=${reportPath}`,
      ...(options.preload === undefined ? [] : [`--import=${join(options.root, options.preload)}`]),
      ...(options.only === undefined ? [] : [`--test-name-pattern=\\b${options.only}\\b`]),
      file,
    ],
    {
      cwd: options.root,
      // Set when a test of this runner runs it: the file would then talk to that test's runner.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...cacheEnv },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  );
  running.add(child);
  if (options.niceness !== undefined && child.pid !== undefined) setPriority(child.pid, options.niceness);
  let output = '';
  const keep = (text: string): void => {
    output = (output + text).slice(-OUTPUT_LIMIT);
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  let timedOut = false;
  const timers = [
    setTimeout(() => {
      timedOut = true;
      signalGroup(child, 'SIGTERM');
    }, options.timeoutMs),
    setTimeout(() => signalGroup(child, 'SIGKILL'), options.timeoutMs + STOP_GRACE_MS),
  ];
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => {
      // What the file left running in its group would keep our pipes open.
      timers.push(setTimeout(() => signalGroup(child, 'SIGKILL'), 1000));
    });
    child.on('close', (code, signal) => {
      for (const timer of timers) clearTimeout(timer);
      running.delete(child);
      resolve({ how: howItEnded(code, signal, timedOut ? options.timeoutMs : undefined), output });
    });
  });
}

function howItEnded(
  code: number | null,
  signal: string | null,
  timeoutMs: number | undefined,
): string | undefined {
  if (timeoutMs !== undefined) return `the file took longer than ${timeoutMs / 1000} s and was ended`;
  if (signal !== null) return `the process was ended by ${signal}`;
  return code === 0 ? undefined : `the process ended with status ${code ?? '?'}`;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone, which is what was wanted.
  }
}

function readReport(path: string): readonly ReportLine[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  // A killed process may leave half a line at the end.
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ReportLine);
}

/** A bad end without a failed test, or no test at all, is a failure of the file itself. */
function withVerdict(records: readonly TestRecord[], ended: Ended): readonly TestRecord[] {
  const failed = records.some((record) => record.outcome === 'failed');
  const why = ended.how ?? (records.length === 0 ? 'the file ran no test' : undefined);
  if (why === undefined || (failed && ended.how?.startsWith('the process ended') === true)) return records;
  return [...records, { name: '(the file itself)', outcome: 'failed', ms: 0, error: why }];
}
