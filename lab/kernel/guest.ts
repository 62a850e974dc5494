import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run } from '../exec.ts';
import { findProgram } from '../find-program.ts';
import { findBuiltKernel } from './build.ts';
import { quote } from './quote.ts';
import { firstStage, secondStage } from './stages.ts';

/** A kernel that can be booted as a process of this machine (User-Mode Linux). */
export interface TestKernel {
  readonly path: string;
  /** Ours has everything built in, Debian's has modules, IPVS among them, and no nf_tables. */
  readonly kind: 'own build' | 'debian';
}

/** Our own build when it is there, else Debian's package user-mode-linux; or why there is none. */
export function findKernel(): TestKernel | { readonly because: string } {
  const built = findBuiltKernel();
  if (built !== undefined) return { path: built, kind: 'own build' };
  const stock = findProgram('linux.uml');
  if (stock !== undefined) return { path: stock, kind: 'debian' };
  return { because: 'no kernel to boot: install user-mode-linux, or run `node lab/kernel/build.ts`' };
}

export interface GuestOptions {
  readonly kernel: TestKernel;
  /** Runs as root, in this process's folder and environment, on a copy of this file system that vanishes. */
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The guest sees it as $OUT: what it writes there stays. */
  readonly outFolder?: string;
  readonly memory?: string;
  readonly timeoutMs?: number;
}

export interface GuestResult {
  /** The command's exit status; undefined when the guest ended without one. */
  readonly code: number | undefined;
  /** What the command printed, standard output and error together. */
  readonly output: string;
  /** The kernel's own words, for when something went wrong. */
  readonly console: string;
}

const modulesFolder = '/usr/lib/uml/modules';
/** Grace between the end of the time and the kill. */
const killAfterMs = 5000;

/** Boots the kernel, runs the command in it, and powers it off. Needs root. */
export async function runInKernel(options: GuestOptions): Promise<GuestResult> {
  const { kernel, timeoutMs = 300_000, memory = '1G' } = options;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'kube-vip-kernel-'));
  try {
    const outFolder = options.outFolder ?? path.join(folder, 'out');
    mkdirSync(outFolder, { recursive: true });
    const version = (await run(kernel.path, ['--version'])).trim();
    const modules = kernel.kind === 'debian' ? path.join(modulesFolder, version) : undefined;
    writeFileSync(path.join(folder, 'init'), firstStage({ folder, outFolder, version, modules }), {
      mode: 0o755,
    });
    writeFileSync(path.join(folder, 'stage2'), secondStage(options.command, process.cwd()));
    writeFileSync(path.join(folder, 'env'), environmentText({ ...process.env, ...options.env }));
    const output = await boot(kernel.path, folder, memory, timeoutMs);
    return { code: exitCode(folder), output, console: readFileSync(path.join(folder, 'console'), 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function boot(kernel: string, folder: string, memory: string, timeoutMs: number): Promise<string> {
  // The guest's first console goes to descriptor 2, the command's output to descriptor 3.
  const command = '"$0" "$@" 3>&1 </dev/null >"$CONSOLE" 2>&1';
  const args = [
    `mem=${memory}`,
    `uml_dir=${folder}`,
    'root=/dev/root',
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    'quiet',
    'panic=-1',
    'con=null',
    'con0=null,fd:2',
    'con1=null,fd:3',
    'ssl=null',
    `init=${folder}/init`,
  ];
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', command, kernel, ...args], {
      detached: true,
      env: { PATH: process.env['PATH'], CONSOLE: path.join(folder, 'console') },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const stop = (signal: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // All of its processes are gone.
      }
    };
    const timers = [
      setTimeout(() => stop('SIGTERM'), timeoutMs),
      setTimeout(() => stop('SIGKILL'), timeoutMs + killAfterMs),
    ];
    child.on('error', reject);
    child.on('close', () => {
      for (const timer of timers) clearTimeout(timer);
      stop('SIGKILL');
      resolve(output);
    });
  });
}

function exitCode(folder: string): number | undefined {
  try {
    return Number(readFileSync(path.join(folder, 'rc'), 'utf8'));
  } catch {
    return undefined;
  }
}

const left = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);

/** `NAME='value'` lines for a shell; names that a shell cannot have are left out. */
function environmentText(variables: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(variables)
    .filter(([name, value]) => value !== undefined && /^[A-Za-z_]\w*$/.test(name) && !left.has(name))
    .map(([name, value]) => `${name}=${quote(value ?? '')}\n`)
    .join('');
}
