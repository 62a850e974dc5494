import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ensureComponents, whyMissing } from '../../../lab/index.ts';
import { makePki, type Pki } from '../../../lab/pki.ts';

const missing = whyMissing(await ensureComponents(['openssl']));
const kube = new URL('../../../src/kube/', import.meta.url).href;

/** What a process says that connects with credentials that name no authority, and checks health without a CA file. */
const client = `
  const { openSocket } = await import('${kube}socket.ts');
  const { plainConnection } = await import('${kube}connection.ts');
  const { createHealthProbe } = await import('${kube}health-probe.ts');
  const port = Number(process.argv[1]);
  const server = { scheme: 'https', host: 'localhost', port, basePath: '' };
  const ways = { lookup: undefined, proxy: undefined };
  const signal = AbortSignal.timeout(20000);
  if (process.argv[2] === 'health') {
    const probe = createHealthProbe('https://localhost:' + port + '/livez', process.argv[3] ?? '');
    console.log(await probe(signal).catch((error) => error.message) ?? 'healthy');
  } else {
    const { socket } = await openSocket(plainConnection(server), ways, signal);
    console.log('connected');
    socket.destroy();
  }
`;

describe('servers whose authority nobody has named', { skip: missing ?? false }, () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'kube-vip-roots-'));
  let pki: Pki;
  let port: number;
  const server = createServer((_request, response) => {
    response.end('ok');
  });

  before(async () => {
    pki = await makePki(dir, ['localhost'], ['127.0.0.1']);
    server.setSecureContext({ cert: readFileSync(pki.certFile), key: readFileSync(pki.keyFile) });
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    port = (server.address() as AddressInfo).port;
  });
  after(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });

  /** Its output, or the last words of its error. */
  function said(roots: string, ...args: readonly string[]): Promise<string> {
    const options = {
      env: {
        PATH: process.env['PATH'],
        SSL_CERT_FILE: roots,
        SSL_CERT_DIR: path.join(dir, 'no-such-folder'),
      },
    };
    const argv = ['--input-type=module-typescript', '-e', client, String(port), ...args];
    return new Promise((resolve) => {
      execFile(process.execPath, argv, options, (error, stdout, stderr) => {
        resolve(error === null ? stdout.trim() : stderr);
      });
    });
  }

  it('are judged by the authorities of the system, as by Go programs', async () => {
    const nobody = path.join(dir, 'none.pem');
    writeFileSync(nobody, '');
    assert.match(await said(nobody), /unable to verify|self-signed|issuer/);
    assert.equal(await said(pki.caFile), 'connected');
    assert.match(await said(nobody, 'health'), /unable to verify|self-signed|issuer/);
    assert.equal(await said(pki.caFile, 'health'), 'healthy');
    assert.equal(await said(nobody, 'health', pki.caFile), 'healthy');
  });

  it('a CA file that holds no certificate ends the start with a message', async () => {
    const broken = path.join(dir, 'broken.crt');
    writeFileSync(
      broken,
      '-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n',
    );
    assert.match(await said(pki.caFile, 'health', broken), /broken\.crt contains no valid certificates/);
  });
});
