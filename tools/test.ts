import { relative, resolve } from 'node:path';
import { filesOf, jobOf, kindOfFile, kinds } from './runner/kinds.ts';
import type { Kind } from './runner/kinds.ts';
import { skipsByReason, totals } from './runner/record.ts';
import type { FileResult } from './runner/record.ts';
import { runFile, stopRunning } from './runner/run-file.ts';
import { prepare } from './runner/prepare.ts';
import { Schedule } from './runner/schedule.ts';
import type { Job } from './runner/schedule.ts';
import { withSecondRun, worthASecondRun } from './runner/second-run.ts';

/**
 * `npm test` runs every kind; `node tools/test.ts unit lab` some; file names run those files. A
 * process per file. A few files that failed beside others are run once more, alone, and named at the end when they pass
 * then: a test like that is to be mended. With CI=true a skipped test fails the run.
 */
const root = resolve(import.meta.dirname, '..');
const interrupt = new AbortController();
const strict = process.env['CI'] === 'true';

interface Work {
  readonly kind: Kind;
  readonly files: readonly string[];
}

function chooseWork(words: readonly string[]): readonly Work[] {
  if (words.length === 0)
    return kinds.filter((kind) => kind.always).map((kind) => ({ kind, files: filesOf(kind, root) }));
  return words.map((word) => {
    const kind = kinds.find(({ name }) => name === word);
    if (kind !== undefined) return { kind, files: filesOf(kind, root) };
    const file = relative(root, resolve(word));
    const owner = kindOfFile(file, root);
    if (owner !== undefined) return { kind: owner, files: [file] };
    console.error(`no such kind or test file: ${word} (kinds: ${kinds.map(({ name }) => name).join(', ')})`);
    process.exit(2);
  });
}

async function runJobs(jobs: readonly Job[]): Promise<readonly FileResult[]> {
  const results: FileResult[] = [];
  const { signal } = interrupt;
  await new Schedule(jobs).run(async ({ file, kind, preload }) => {
    const result = await runFile(file, {
      root,
      timeoutMs: kind.fileTimeoutMs,
      preload,
      compileCache: resolve(root, 'node_modules/.cache/node-compile'),
      ...(kind.niceness === undefined ? {} : { niceness: kind.niceness }),
    });
    results.push(result);
    printFile(result);
  }, signal);
  return results;
}

function printFile(result: FileResult): void {
  const { passed, failed, skipped } = totals([result]);
  const counts = [
    `${passed} passed`,
    failed > 0 ? `${failed} FAILED` : '',
    skipped > 0 ? `${skipped} skipped` : '',
  ];
  const text = counts.filter((part) => part !== '').join(', ');
  console.log(`  ${failed > 0 ? 'FAIL' : 'ok  '} ${result.file}  ${text}  ${timesOf(result)}`);
  for (const note of result.notes) console.log(`       ${note}`);
  if (failed > 0) printFailures(result);
}

/** How long it took, and how much of that was work. */
function timesOf({ seconds, cpuSeconds }: FileResult): string {
  return `${seconds.toFixed(1)} s, cpu ${cpuSeconds.toFixed(1)} s`;
}

function printFailures(result: FileResult): void {
  for (const record of result.records) {
    if (record.outcome === 'failed') console.log(indent(`✖ ${record.name}\n${indent(record.error ?? '')}`));
  }
  const output = result.output.trim();
  if (output !== '') console.log(indent(`what it printed (the end):\n${indent(output.slice(-4000))}`));
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '    ');
}

function countByKind(jobs: readonly Job[]): string {
  const counts = Object.entries(Object.groupBy(jobs, ({ kind }) => kind.name));
  return counts.map(([name, own]) => `${own?.length ?? 0} ${name}`).join(', ');
}

/** Where the time goes, by kind and by the files that work most; not worth a line for a few. */
function printTimes(jobs: readonly Job[], all: readonly FileResult[]): void {
  if (all.length < 20) return;
  const kindOf = new Map(jobs.map(({ file, kind }) => [file, kind]));
  const sum = (results: readonly FileResult[], what: 'seconds' | 'cpuSeconds'): string =>
    results.reduce((total, result) => total + result[what], 0).toFixed(0);
  console.log('\ntimes:');
  for (const kind of new Set(kindOf.values())) {
    const own = all.filter(({ file }) => kindOf.get(file) === kind);
    console.log(`  ${kind.name.padEnd(8)} ${sum(own, 'seconds')} s, cpu ${sum(own, 'cpuSeconds')} s`);
  }
  const busiest = all.toSorted((a, b) => b.cpuSeconds - a.cpuSeconds).slice(0, 12);
  for (const result of busiest) console.log(`  ${timesOf(result).padEnd(20)} ${result.file}`);
}

function printSummary(all: readonly FileResult[], unsteady: readonly string[]): void {
  const { passed, failed, skipped } = totals(all);
  const failures = all.flatMap(({ file, records }) =>
    records.filter((record) => record.outcome === 'failed').map((record) => `  ✖ ${file}: ${record.name}`),
  );
  if (failures.length > 0) console.log(`\nfailed:\n${failures.join('\n')}`);
  if (unsteady.length > 0)
    console.log(
      `\nUNSTEADY, failed beside others and passed alone; to be mended:\n  ${unsteady.join('\n  ')}`,
    );
  for (const [reason, names] of skipsByReason(all)) {
    console.log(`\nskipped, because ${reason}:\n${names.map((name) => `  - ${name}`).join('\n')}`);
  }
  if (strict && skipped > 0) console.log('\nCI=true: a skipped test is a failure');
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
}

function wholeFileSkipped(file: string, reason: string): FileResult {
  return {
    file,
    records: [{ name: '(the whole file)', outcome: 'skipped', ms: 0, reason }],
    notes: [],
    seconds: 0,
    cpuSeconds: 0,
    output: '',
  };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupt.abort();
    stopRunning();
  });
}

const work = chooseWork(process.argv.slice(2));
const blocked = await prepare(work.filter(({ files }) => files.length > 0).map(({ kind }) => kind));
const results: FileResult[] = [];
const jobs: Job[] = [];
for (const { kind, files } of work) {
  const because = blocked.get(kind);
  if (because === undefined) jobs.push(...files.map((file) => jobOf(kind, file, root)));
  else results.push(...files.map((file) => wholeFileSkipped(file, because)));
}
console.log(`\n${countByKind(jobs)} files`);
const first = await runJobs(jobs);
const again = interrupt.signal.aborted ? [] : worthASecondRun(jobs, first);
if (again.length > 0) console.log('\nonce more, alone:');
const alone: FileResult[] = [];
for (const job of again) alone.push(...(await runJobs([job])));
const run = withSecondRun(first, alone);
results.push(...run.results);
printTimes(jobs, results);
printSummary(results, run.unsteady);
const { passed, failed, skipped } = totals(results);
const bad = interrupt.signal.aborted || failed > 0 || passed + skipped === 0 || (strict && skipped > 0);
process.exitCode = bad ? 1 : 0;
