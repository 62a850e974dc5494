import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';

/**
 * The static gate (`npm run check`): every step runs, also after a failure, and what failed is
 * printed in full. Names on the command line choose steps: `npm run check -- types lint`.
 */
interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Why the step matters, printed when it fails. */
  readonly hint: string;
}

const root = resolve(import.meta.dirname, '..');

const steps: readonly Step[] = [
  { name: 'types', command: ['tsc', '--project', '.'], hint: 'the compiler disagrees' },
  {
    name: 'lint',
    command: ['eslint', '.', '--max-warnings', '0'],
    hint: 'npm run lint -- --fix mends the simple ones',
  },
  { name: 'format', command: ['prettier', '--check', '--log-level', 'warn', '.'], hint: 'npm run format' },
  {
    name: 'arch',
    command: ['node', '--test', 'test/arch/**/*.test.ts'],
    hint: 'the import table is in tools/arch/rooms.ts; a page may name only what exists',
  },
  { name: 'unused', command: ['knip', '--no-config-hints'], hint: 'remove the export, or use it' },
  { name: 'docs', command: ['node', 'tools/docs.ts', '--check'], hint: 'npm run docs' },
  { name: 'metrics page', command: ['node', 'tools/docs-metrics.ts', '--check'], hint: 'npm run docs' },
  { name: 'parity', command: ['node', 'tools/parity.ts', '--check'], hint: 'npm run parity' },
  { name: 'changelog', command: ['node', 'tools/changelog.ts'], hint: 'write what operators will notice' },
];

interface Outcome {
  readonly step: Step;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

function runStep(step: Step): Promise<Outcome> {
  const started = performance.now();
  const [program, ...args] = step.command;
  return new Promise((done) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, PATH: `${root}/node_modules/.bin:${process.env['PATH'] ?? ''}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const parts: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => parts.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => parts.push(text));
    const finish = (ok: boolean): void => {
      done({ step, ok, seconds: (performance.now() - started) / 1000, output: parts.join('').trim() });
    };
    child.on('error', (error) => {
      parts.push(error.message);
      finish(false);
    });
    child.on('close', (code) => finish(code === 0));
  });
}

function report(outcome: Outcome): void {
  const { step, ok, seconds, output } = outcome;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${step.name.padEnd(14)} ${seconds.toFixed(1).padStart(6)} s`);
  if (!ok) console.log(`\n${output}\n\n  ${step.command.join(' ')}: ${step.hint}\n`);
}

if (!existsSync(resolve(root, 'node_modules/.bin/tsc'))) {
  console.error('the tools are missing: npm ci');
  process.exit(1);
}
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`no such step: ${unknown.join(', ')} (steps: ${steps.map((step) => step.name).join(', ')})`);
  process.exit(1);
}
const queue = steps.filter((step) => wanted.length === 0 || wanted.includes(step.name));
const failed: string[] = [];
const worker = async (): Promise<void> => {
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    const outcome = await runStep(step);
    if (!outcome.ok) failed.push(step.name);
    report(outcome);
  }
};
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
console.log(failed.length === 0 ? 'the gate is clean' : `the gate is not clean: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
