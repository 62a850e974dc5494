import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { defaultConfig } from '../../../src/config/index.ts';
import { openApi } from '../../../src/manager/api.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { recordingLogger } from '../../../src/testing/logger.ts';
import { kubeconfig } from '../kube/kubeconfig-text.ts';

/** Opens the API of a kubeconfig beside these variables; what the log says of a proxy. */
async function opened(
  t: TestContext,
  env: Readonly<Record<string, string>>,
  server = '192.0.2.1:6443',
): Promise<{ readonly said: string; readonly asked: Promise<string> }> {
  const dir = mkdtempSync(path.join(tmpdir(), 'kube-vip-api-'));
  const before = { ...process.env };
  t.after(() => {
    process.env = before;
    rmSync(dir, { recursive: true });
  });
  for (const name of ['HTTPS_PROXY', 'NO_PROXY'])
    for (const spelling of [name, name.toLowerCase()]) Reflect.deleteProperty(process.env, spelling);
  Object.assign(process.env, env);
  const file = path.join(dir, 'config');
  writeFileSync(file, kubeconfig({ server: `https://${server}` }));
  const log = recordingLogger();
  const parts = { clock: new FakeClock(), random: () => 0.5, log };
  const { client } = await openApi(defaultConfig, [], parts, file);
  t.after(() => {
    client.close();
  });
  const asked = client.raw('/version').then(
    () => 'answered',
    (error: unknown) => String(error),
  );
  const said = JSON.stringify(
    log.lines.flatMap((line, i) => (line.includes('proxy') ? [line, log.fields[i]] : [])),
  );
  return { said, asked };
}

test('a start names the proxy of the environment, without its secret, and asks it; beside NO_PROXY it does neither', async (t) => {
  const { said, asked } = await opened(t, { HTTPS_PROXY: 'http://me:secret@127.0.0.1:1' });
  assert.match(said, /reached through a proxy.*HTTPS_PROXY 127\.0\.0\.1:1/);
  assert.match(await asked, /proxy HTTPS_PROXY 127\.0\.0\.1:1: connect ECONNREFUSED/);
  assert.doesNotMatch(said, /secret/);
  const exempt = await opened(
    t,
    { HTTPS_PROXY: 'socks5://proxy.example', NO_PROXY: '127.0.0.0/8' },
    '127.0.0.2:1',
  );
  assert.equal(exempt.said, '[]');
  assert.match(await exempt.asked, /connect ECONNREFUSED 127\.0\.0\.2:1/);
});

test('a start with a proxy that cannot be used is refused: the variable is named', async (t) => {
  await assert.rejects(
    opened(t, { HTTPS_PROXY: 'socks5://proxy.example' }),
    /HTTPS_PROXY: only proxies that speak HTTP/,
  );
});
