// node lab/kernel/build.ts: builds the test kernel from Debian's packaged source, once for each version of it.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run, tryRun } from '../exec.ts';
import { isExecutable } from '../find-program.ts';
import { disabled, edits, enabled, values } from './options.ts';

const sourcePackage = 'linux-source-6.1';
const buildPackages = [sourcePackage, 'gcc', 'libc6-dev', 'make', 'flex', 'bison', 'bc', 'xz-utils'];

function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  return path.join(base, 'kube-vip-lab', 'kernels');
}

/** Another package version or another list of options is another kernel. */
function nameOf(version: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([enabled, disabled, values, edits]))
    .digest('hex')
    .slice(0, 8);
  return `linux-${version}-${hash}`;
}

/** The newest kernel of our own that was built here with these options; undefined when there is none. */
export function findBuiltKernel(): string | undefined {
  const suffix = nameOf('').replace('linux-', '');
  try {
    const names = readdirSync(cacheFolder()).filter(
      (name) => name.startsWith('linux-') && name.endsWith(suffix),
    );
    return names
      .sort()
      .map((name) => path.join(cacheFolder(), name))
      .findLast(isExecutable);
  } catch {
    return undefined;
  }
}

/** Builds the kernel if it is not there yet; needs root for the packages, and some minutes. Returns its path. */
export async function buildKernel(say: (line: string) => void): Promise<string> {
  const found = findBuiltKernel();
  if (found !== undefined) return found;
  await installPackages(say);
  const version = (await run('dpkg-query', ['-W', '-f', '${Version}', sourcePackage])).trim();
  mkdirSync(cacheFolder(), { recursive: true });
  const work = mkdtempSync(path.join(cacheFolder(), 'build-'));
  try {
    say('unpacking the source');
    const archive = `/usr/src/${sourcePackage}.tar.xz`;
    await run('tar', ['-xJf', archive, '-C', work], { timeoutMs: 600_000 });
    const tree = path.join(work, sourcePackage);
    for (const edit of edits) change(path.join(tree, edit.file), edit.from, edit.to);
    const make = (...targets: readonly string[]): Promise<string> =>
      run('make', ['ARCH=um', ...targets], { cwd: tree, timeoutMs: 3_600_000 });
    await make('defconfig');
    const options = [
      ...disabled.flatMap((o) => ['-d', o]),
      ...enabled.flatMap((o) => ['-e', o]),
      ...Object.entries(values).flatMap(([o, value]) => ['--set-val', o, String(value)]),
    ];
    await run('scripts/config', options, { cwd: tree });
    await make('olddefconfig');
    say('compiling');
    await make(`-j${os.availableParallelism()}`, 'linux');
    await run('strip', ['-o', path.join(work, 'kernel'), 'linux'], { cwd: tree });
    const target = path.join(cacheFolder(), nameOf(version));
    copyFileSync(path.join(work, 'kernel'), `${target}.new`);
    chmodSync(`${target}.new`, 0o755);
    renameSync(`${target}.new`, target);
    return target;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function change(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'utf8');
  if (!text.includes(from)) throw new Error(`${file} does not have ${from}`);
  writeFileSync(file, text.replace(from, to));
}

async function installPackages(say: (line: string) => void): Promise<void> {
  const { code } = await tryRun('dpkg', ['-s', ...buildPackages]);
  if (code === 0) return;
  say(`apt-get install ${buildPackages.join(' ')}`);
  const environment = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-q'], { env: environment, timeoutMs: 180_000 });
  await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...buildPackages], {
    env: environment,
    timeoutMs: 600_000,
  });
}

if (import.meta.main) {
  console.log(
    await buildKernel((line) => {
      console.log(`  ${line}`);
    }),
  );
}
