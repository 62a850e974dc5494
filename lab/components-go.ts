import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './exec.ts';
import { findProgram, isExecutable } from './find-program.ts';
import { identify, isAlive } from './proc.ts';
import type { ProcessId } from './proc.ts';
import { waitFor } from './wait.ts';

export const kubernetesVersion = 'v1.36.3';

/** Packages we compile, all pinned by components/go.mod. Programs of our own live in components/cmd. */
export const goPrograms: Readonly<Record<string, string>> = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
  ...ownPrograms(),
};

function moduleFolder(): string {
  return fileURLToPath(new URL('components', import.meta.url));
}

function ownPrograms(): Readonly<Record<string, string>> {
  try {
    const names = readdirSync(path.join(moduleFolder(), 'cmd'));
    return Object.fromEntries(names.map((name) => [name, `./cmd/${name}`]));
  } catch {
    return {};
  }
}

/** Outside the tree, shared by all checkouts of this user. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  return path.join(base, 'kube-vip-lab', `kubernetes-${kubernetesVersion}`);
}

/** Changes whenever a program would be built from other sources than the cached one. */
function sourceHash(name: string): string {
  const hash = createHash('sha256');
  // What is required is what counts, not in which block of go.mod it stands or who asked for it.
  const lines = ['go.mod', 'go.sum'].flatMap((file) =>
    readFileSync(path.join(moduleFolder(), file), 'utf8')
      .split('\n')
      .map((line) => line.replace(/^require |\/\/ indirect/g, '').trim())
      .filter((line) => /v\d+\.\d+/.test(line)),
  );
  hash.update(lines.sort().join('\n'));
  const own =
    goPrograms[name]?.startsWith('./') === true ? path.join(moduleFolder(), 'cmd', name) : undefined;
  if (own !== undefined) {
    for (const file of readdirSync(own).sort()) hash.update(readFileSync(path.join(own, file)));
  }
  return hash.digest('hex');
}

export function findGoProgram(
  name: string,
):
  | { readonly name: string; readonly path: string }
  | { readonly name: string; readonly missing: true; readonly because: string } {
  const file = path.join(cacheFolder(), name);
  if (!isExecutable(file)) return { name, missing: true, because: 'not built yet' };
  try {
    if (readFileSync(`${file}.sources`, 'utf8') === sourceHash(name)) return { name, path: file };
  } catch {
    // No note beside it: whoever put it there did not say from what it was built.
  }
  return { name, missing: true, because: 'the cached build is from other sources' };
}

function flagsFor(name: string): string {
  if (!name.startsWith('kube')) return '-s -w';
  const [major = '', minor = ''] = kubernetesVersion.slice(1).split('.');
  // Without these the server calls itself v0.0.0 and some clients refuse it.
  const variables = { gitVersion: kubernetesVersion, gitMajor: major, gitMinor: minor };
  const settings = Object.entries(variables).map(
    ([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`,
  );
  return ['-s -w', ...settings].join(' ');
}

/** Compiles one program into the cache. Returns why it could not, or undefined when it is there. */
export async function buildGoProgram(name: string, say: (line: string) => void): Promise<string | undefined> {
  const goPackage = goPrograms[name];
  if (goPackage === undefined) return 'it is not among the programs of lab/components';
  const go = findProgram('go');
  if (go === undefined) return 'not built yet, and there is no Go toolchain here (https://go.dev/dl)';
  const target = path.join(cacheFolder(), name);
  const release = await lock(`${target}.lock`, say);
  try {
    if ('path' in findGoProgram(name)) return undefined;
    say(`go build ${goPackage} → ${target} (the first program takes some minutes)`);
    const started = performance.now();
    const temporary = `${target}.${process.pid}.tmp`;
    const hash = sourceHash(name);
    await run(go, ['build', '-trimpath', '-ldflags', flagsFor(name), '-o', temporary, goPackage], {
      cwd: moduleFolder(),
      env: { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' },
      timeoutMs: 1_500_000,
    });
    renameSync(temporary, target);
    writeFileSync(`${target}.sources`, hash);
    say(
      `built ${name} in ${Math.round((performance.now() - started) / 1000)} s, ${Math.round(statSync(target).size / 1e6)} MB`,
    );
    return undefined;
  } catch (error) {
    return `go build failed: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    release();
  }
}

/** One build of a program at a time on this machine; a lock whose owner is gone is taken over. */
async function lock(file: string, say: (line: string) => void): Promise<() => void> {
  mkdirSync(path.dirname(file), { recursive: true });
  let told = false;
  await waitFor(
    () => {
      try {
        const descriptor = openSync(file, 'wx');
        writeFileSync(descriptor, JSON.stringify(identify(process.pid)));
        closeSync(descriptor);
        return true;
      } catch {
        const owner = JSON.parse(readFileSync(file, 'utf8')) as ProcessId;
        if (!isAlive(owner)) rmSync(file, { force: true });
        else if (!told) say(`waiting for process ${owner.pid}, which builds it`);
        told = true;
        return false;
      }
    },
    { what: `the lock ${file}`, timeoutMs: 1_800_000, everyMs: 500 },
  );
  return () => {
    rmSync(file, { force: true });
  };
}
