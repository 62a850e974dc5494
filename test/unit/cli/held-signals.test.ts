import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { SlowFile } from '../../../lab/index.ts';
import { kubeconfig } from '../kube/kubeconfig-text.ts';

const main = resolve(import.meta.dirname, '../../../src/main.ts');
const { NODE_COMPILE_CACHE } = process.env;
const scratch = mkdtempSync(join(tmpdir(), 'kube-vip-signals-'));
after(() => {
  rmSync(scratch, { recursive: true });
});

/** The end of a program that gets this signal while it reads its settings, which are this text then. */
async function endedBy(name: NodeJS.Signals, settings: string, text: string, argv: readonly string[]) {
  const file = new SlowFile(join(scratch, settings));
  const cache = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };
  const program = spawn(process.execPath, [main, ...argv], {
    env: { ...cache, config_file: file.path },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  program.stdout.on('data', (part: Buffer) => (said += part.toString()));
  program.stderr.on('data', (part: Buffer) => (said += part.toString()));
  const ended = once(program, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const give = await file.reader();
  program.kill(name);
  give(text);
  const [code, signal] = await ended;
  return { code, signal, said };
}

test('a signal that comes before the settings are read ends the address controller in good order', async () => {
  const file = join(scratch, 'kubeconfig');
  writeFileSync(file, kubeconfig({ server: 'https://127.0.0.1:9', user: { token: 'x' } }));
  const argv = ['cloud-controller', '--kubeconfig', file];
  for (const name of ['SIGTERM', 'SIGHUP'] as const) {
    const end = await endedBy(name, `${name}.json`, '{}', argv);
    assert.deepEqual({ code: end.code, signal: end.signal }, { code: 0, signal: null }, end.said);
    assert.match(end.said, new RegExp(`INFO shutting down reason=${name}$`, 'm'));
  }
});

test('settings that cannot work are told of also to somebody who has sent a signal meanwhile', async () => {
  const end = await endedBy('SIGTERM', 'bad.json', '{"vip_leaseduration": "x"}', ['manager']);
  assert.equal(end.signal, null);
  assert.equal(end.code, 1);
  assert.match(end.said, /vip_leaseduration/);
});

test('a command that leaves nothing behind is ended by a signal as by default', async () => {
  const settings =
    '{"enableARP": true, "enableControlPlane": true, "address": "192.0.2.1", "interface": "lo"}';
  const end = await endedBy('SIGTERM', 'short.json', settings, ['config']);
  assert.deepEqual({ code: end.code, signal: end.signal }, { code: null, signal: 'SIGTERM' }, end.said);
});
