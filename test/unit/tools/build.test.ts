import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SlowFile } from '../../../lab/index.ts';
import { codeCacheOf } from '../../../src/bundle.ts';

const root = resolve(import.meta.dirname, '../../..');
const systemPath = '/usr/bin:/bin';

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runIn(cwd: string, path: string, program: string, ...args: string[]): Ran {
  return spawnSync(program, args, { cwd, encoding: 'utf8', env: { PATH: path } });
}

describe('what npm run build makes', () => {
  let scratch = '';
  let elsewhere = '';
  before(() => {
    scratch = mkdtempSync(join(tmpdir(), 'kube-vip-build-'));
    elsewhere = join(scratch, 'else where');
    const made = spawnSync(process.execPath, ['tools/build.ts', '--out', join(elsewhere, 'dist')], {
      cwd: root,
      encoding: 'utf8',
    });
    assert.equal(made.status, 0, made.stderr);
    cpSync(join(root, 'bin'), join(elsewhere, 'bin'), { recursive: true });
  });
  after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  /** A PATH whose `node` says it is another version. */
  function pathWithNode(name: string, script: string): string {
    const folder = join(scratch, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'node'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return `${folder}:${systemPath}`;
  }

  test('runs away from the checkout, through a chain of links, from any folder', () => {
    mkdirSync(join(scratch, 'links'), { recursive: true });
    symlinkSync('../else where/bin/kube-vip', join(scratch, 'links/relative'));
    symlinkSync(join(scratch, 'links/relative'), join(scratch, 'kube-vip'));
    const ran = runIn(
      '/',
      `${dirname(process.execPath)}:${systemPath}`,
      join(scratch, 'kube-vip'),
      'version',
    );
    assert.equal(ran.stderr, '');
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    assert.match(ran.stdout, new RegExp(`^Version: {2}v${version}$`, 'm'));
    assert.match(ran.stdout, /^Build: {4}([0-9a-f]{12}(-dirty)?|unknown)$/m);
    assert.equal(ran.status, 0);
  });

  test('CP-208 what the image is made of is all that the program needs; which machines it is for is documented', () => {
    const recipe = readFileSync(join(root, 'Dockerfile'), 'utf8');
    const image = join(scratch, 'image');
    for (const [, from = '', to = ''] of recipe.matchAll(/^COPY --from=build \/kube-vip\/(\S+) (\S+)$/gm))
      cpSync(join(elsewhere, from), join(image, to), { recursive: true });
    assert.match(recipe, /cp node_modules\/node-linux-\*\/bin\/node dist\/node$/m);
    cpSync(process.execPath, join(image, 'kube-vip/dist/node'));
    const entry = /^ENTRYPOINT \["(.+)"\]$/m.exec(recipe)?.[1] ?? '';
    const ran = runIn('/', systemPath, join(image, entry), 'version');
    assert.match(ran.stdout, /^Version: {2}v/m, ran.stderr);
    const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      optionalDependencies: Record<string, string>;
    };
    const machines = Object.keys(optionalDependencies).map((name) => name.replace('node-linux-', ''));
    const said =
      /^The image is for (.+?)[:;.]/m.exec(readFileSync(join(root, 'docs/operating.md'), 'utf8'))?.[1] ?? '';
    for (const machine of machines) assert.ok(said.includes(machine === 'x64' ? 'amd64' : machine), said);
  });

  test('koffi loads from beside the bundle', () => {
    const script = `const koffi = require('koffi'); console.log(typeof koffi.load)`;
    writeFileSync(join(elsewhere, 'dist/probe.cjs'), script);
    const ran = runIn('/', systemPath, process.execPath, join(elsewhere, 'dist/probe.cjs'));
    assert.equal(ran.stdout, 'function\n', ran.stderr);
  });

  test('an old Node in PATH is refused with the remedy', () => {
    const ran = runIn('/', pathWithNode('old', 'echo v20.20.2'), join(elsewhere, 'bin/kube-vip'), 'version');
    assert.match(ran.stderr, /is v20\.20\.2; version 24 or later is needed/);
    assert.equal(ran.status, 1);
  });

  test('any Node is started with bounds for its memory', () => {
    const script = 'if [ "$1" = --version ]; then echo v24.0.0; else echo "$@" $MALLOC_ARENA_MAX; fi';
    const ran = runIn('/', pathWithNode('echo', script), join(elsewhere, 'bin/kube-vip'), 'version');
    assert.match(ran.stdout, /^--max-semi-space-size=\d+ .*start\.js version 1$/m);
  });

  test('the launcher starts from what V8 made of the bundle, and without it all the same', () => {
    const launcher = readFileSync(join(elsewhere, 'bin/kube-vip'), 'utf8');
    const flags = /^set -- (.*) "\$bundle"/m.exec(launcher)?.[1]?.split(' ') ?? [];
    const modulePath = join(root, 'src/bundle.ts');
    const file = join(elsewhere, 'dist/kube-vip.js');
    const tell = `import { compileBundle } from ${JSON.stringify(modulePath)};
      console.log(compileBundle(${JSON.stringify(file)}).cachedDataRejected);`;
    const ran = runIn('/', systemPath, process.execPath, ...flags, '--input-type=module', '-e', tell);
    assert.equal(ran.stdout, 'false\n', ran.stderr);
    const cache = codeCacheOf(file);
    renameSync(cache, `${cache}.away`);
    try {
      const plain = runIn('/', systemPath, process.execPath, join(elsewhere, 'dist/start.js'), 'version');
      assert.match(plain.stdout, /^Version: {2}v/m, plain.stderr);
    } finally {
      renameSync(`${cache}.away`, cache);
    }
  });

  test('a signal that comes before the bundle is read waits for it', async () => {
    const bundle = join(elsewhere, 'dist/kube-vip.js');
    const text = readFileSync(bundle, 'latin1');
    renameSync(bundle, `${bundle}.away`);
    try {
      const slow = new SlowFile(bundle);
      const program = spawn(process.execPath, [join(elsewhere, 'dist/start.js'), 'manager'], { env: {} });
      const ended = once(program, 'close');
      const give = await slow.reader();
      program.kill('SIGTERM');
      give(text);
      // The settings that are missing, and not the signal.
      assert.deepEqual(await ended, [1, null]);
    } finally {
      renameSync(`${bundle}.away`, bundle);
    }
  });

  test('nothing is kept in memory that nobody needs: undici, or the bundle as text of two bytes a letter', () => {
    const tell = `process.on('exit', () => console.log(process.moduleLoadList.filter((name) => /http|undici/.test(name)).join()))`;
    const options = ['--import', `data:text/javascript,${encodeURIComponent(tell)}`];
    const bundle = join(elsewhere, 'dist/kube-vip.js');
    const start = join(elsewhere, 'dist/start.js');
    // No such link: it ends when everything is loaded.
    const args = [
      'manager',
      '--arp',
      '--controlplane',
      '--address',
      '192.0.2.1',
      '--interface',
      'no-such-link',
    ];
    const ran = runIn('/', systemPath, process.execPath, ...options, start, ...args);
    assert.match(ran.stdout, /\bNativeModule http2\b/, ran.stderr);
    assert.doesNotMatch(ran.stdout, /undici/);
    assert.match(readFileSync(bundle, 'utf8'), /^[\0-\x7f]*$/);
  });

  test('the Node shipped beside the bundle is preferred', () => {
    symlinkSync(process.execPath, join(elsewhere, 'dist/node'));
    const ran = runIn('/', pathWithNode('old', 'echo v20.20.2'), join(elsewhere, 'bin/kube-vip'), 'version');
    assert.equal(ran.status, 0, ran.stderr);
  });

  test('without the bundle the launcher says how to make it', () => {
    rmSync(join(elsewhere, 'dist'), { recursive: true });
    const ran = runIn('/', systemPath, join(elsewhere, 'bin/kube-vip'), 'version');
    assert.match(ran.stderr, /npm ci && npm run build/);
    assert.equal(ran.status, 1);
  });
});
