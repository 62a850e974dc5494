import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { mutants } from './mutants/table.ts';
import { mutate, type Mutant, type Verdict } from './mutants/mutant.ts';
import { runFile, stopRunning } from './runner/run-file.ts';

/**
 * `npm run mutants [-- CP-90 CP-91 …]` takes one feature after the other out of a copy of the program and runs
 * the test that claims its parity line: it must fail. Without names every mutant is tried, which takes a while.
 */
const root = resolve(import.meta.dirname, '..');
/** A test that fails has waited for a minute first, and some files have several with the same line. */
const FILE_TIMEOUT_MS = 300_000;

/** The files of the project in a folder of their own, so that nobody who works in this one is disturbed. */
function copyOfTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'kube-vip-mutants-'));
  const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  }).split('\0');
  for (const file of tracked) if (file !== '') cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

async function judge(mutant: Mutant, copy: string): Promise<Verdict> {
  const path = join(copy, mutant.file);
  const source = readFileSync(path, 'utf8');
  const changed = mutate(source, mutant);
  if (changed === undefined) return 'stale';
  writeFileSync(path, changed);
  try {
    const compileCache = join(copy, '.compile-cache');
    const options = {
      root: copy,
      timeoutMs: FILE_TIMEOUT_MS,
      preload: undefined,
      only: mutant.line,
      compileCache,
    };
    const { records } = await runFile(mutant.test, options);
    // A file that cannot even be loaded proves nothing: the test itself must have run.
    const own = records.filter(({ name, outcome }) => outcome !== 'skipped' && name.includes(mutant.line));
    if (own.length === 0) return 'not run';
    return own.some(({ outcome }) => outcome === 'failed') ? 'killed' : 'survived';
  } finally {
    writeFileSync(path, source);
  }
}

const wanted = process.argv.slice(2);
const chosen = mutants.filter(({ line }) => wanted.length === 0 || wanted.includes(line));
const copy = copyOfTree();
process.on('SIGINT', () => {
  stopRunning();
  rmSync(copy, { recursive: true, force: true });
  process.exit(130);
});
const bad: string[] = [];
try {
  for (const mutant of chosen) {
    const verdict = await judge(mutant, copy);
    console.log(`${verdict.padEnd(9)}${mutant.line.padEnd(8)}${mutant.file}`);
    if (verdict !== 'killed') bad.push(`${mutant.line} ${verdict}: ${mutant.file}, ${mutant.test}`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
console.log(`\n${chosen.length - bad.length} of ${chosen.length} noticed by the test that claims the line`);
for (const line of bad) console.log(`  ${line}`);
process.exitCode = bad.length === 0 ? 0 : 1;
