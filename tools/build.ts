import { execFileSync } from 'node:child_process';
import {
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

/**
 * `npm run build`: one bundle in dist/, with what V8 made of it and what starts it from there, and koffi beside it because its
 * native part cannot be bundled. dist/ and bin/ together run anywhere. `--out <folder>` builds elsewhere.
 */
const root = resolve(import.meta.dirname, '..');
const outFlag = process.argv.indexOf('--out');
const target = resolve(outFlag === -1 ? join(root, 'dist') : (process.argv[outFlag + 1] ?? ''));
// Built aside and swapped in, so that a failed build leaves the last good one.
const dist = `${target}.tmp`;

interface PackageFile {
  readonly version: string;
}

function gitRevision(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' });
    const revision = git('rev-parse', '--short=12', 'HEAD').trim();
    const changed = git('status', '--porcelain', '--untracked-files=no').trim() !== '';
    return changed ? `${revision}-dirty` : revision;
  } catch {
    // A source archive without git: say so rather than fail.
    return 'unknown';
  }
}

/** Those of the launcher: V8 refuses a code cache that was made under others. */
const v8Flags = ['--max-semi-space-size=2', '--expose-gc'];

function copyKoffi(): void {
  const from = join(root, 'node_modules/koffi');
  const files = ['package.json', 'LICENSE.txt', 'index.cjs', 'src/koffi/index.cjs'];
  for (const file of [...files, ...globSync('src/koffi/src/*.cjs', { cwd: from })]) {
    cpSync(join(from, file), join(dist, 'node_modules/koffi', file));
  }
  for (const name of globSync('@koromix/koffi-linux-*', { cwd: join(root, 'node_modules') })) {
    cpSync(join(root, 'node_modules', name), join(dist, 'node_modules', name), { recursive: true });
  }
}

/**
 * Node's own modules without the faces they have as ES modules: to make one, Node evaluates every export, and those
 * that are made when they are first used bring in what nobody here needs (`http` alone the whole of undici). Without
 * them the process is 6 MB smaller.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup: (build) => {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    build.onLoad({ filter: /^/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('${path}');`,
      loader: 'js',
    }));
  },
};

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageFile;
const revision = gitRevision();
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
await build({
  entryPoints: { 'kube-vip': join(root, 'src/main.ts'), start: join(root, 'src/start.ts') },
  outdir: dist,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node24',
  external: ['koffi'],
  plugins: [builtins],
  define: { KUBE_VIP_VERSION: JSON.stringify(`v${version}`), KUBE_VIP_BUILD: JSON.stringify(revision) },
  legalComments: 'linked',
  // Comments would be a third of what is kept in memory. Lines and names stay, for what an error tells.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 120,
  logLevel: 'warning',
});
writeFileSync(
  join(dist, 'package.json'),
  `${JSON.stringify({ name: 'kube-vip', version, type: 'commonjs' })}\n`,
);
cpSync(join(root, 'LICENSE'), join(dist, 'LICENSE'));
copyKoffi();
execFileSync(
  process.execPath,
  [...v8Flags, join(root, 'tools/build/code-cache.ts'), join(dist, 'kube-vip.js')],
  {
    stdio: ['ignore', 'ignore', 'pipe'],
  },
);
rmSync(target, { recursive: true, force: true });
renameSync(dist, target);
const kib = Math.round(statSync(join(target, 'kube-vip.js')).size / 1024);
console.log(`${join(target, 'kube-vip.js')}: ${kib} KiB, v${version}, build ${revision}`);
