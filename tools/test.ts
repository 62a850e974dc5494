import { relative, resolve } from 'node:path';
import { filesOf, kindOfFile, kinds } from './runner/kinds.ts';
import type { Kind } from './runner/kinds.ts';
import { skipsByReason, totals } from './runner/record.ts';
import type { FileResult } from './runner/record.ts';
import { runFile, stopRunning } from './runner/run-file.ts';
import { prepare } from './runner/prepare.ts';

/**
 * `npm test` runs every kind; `node tools/test.ts unit lab` some; file names run those files. A
 * process per file, never a retry. With CI=true a skipped test fails the run.
 */
const root = resolve(import.meta.dirname, '..');
const interrupt = { seen: false };
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

async function runKind(work: Work): Promise<readonly FileResult[]> {
  console.log(`\n${work.kind.name}: ${work.files.length} files`);
  const queue = [...work.files];
  const results: FileResult[] = [];
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined && !interrupt.seen; file = queue.shift()) {
      const result = await runFile(file, {
        root,
        timeoutMs: work.kind.fileTimeoutMs,
        preload: work.kind.preload,
        compileCache: resolve(root, 'node_modules/.cache/node-compile'),
      });
      results.push(result);
      printFile(result);
    }
  };
  await Promise.all(Array.from({ length: work.kind.concurrency }, worker));
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

function printSummary(all: readonly FileResult[]): void {
  const { passed, failed, skipped } = totals(all);
  const failures = all.flatMap(({ file, records }) =>
    records.filter((record) => record.outcome === 'failed').map((record) => `  ✖ ${file}: ${record.name}`),
  );
  if (failures.length > 0) console.log(`\nfailed:\n${failures.join('\n')}`);
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
    interrupt.seen = true;
    stopRunning();
  });
}

const work = chooseWork(process.argv.slice(2));
const blocked = await prepare(work.filter(({ files }) => files.length > 0).map(({ kind }) => kind));
const results: FileResult[] = [];
for (const part of work) {
  if (interrupt.seen) break;
  const because = blocked.get(part.kind);
  if (because === undefined) results.push(...(await runKind(part)));
  else results.push(...part.files.map((file) => wholeFileSkipped(file, because)));
}
printSummary(results);
const { passed, failed, skipped } = totals(results);
const bad = interrupt.seen || failed > 0 || passed + skipped === 0 || (strict && skipped > 0);
process.exitCode = bad ? 1 : 0;
