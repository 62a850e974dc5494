import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ensureComponents, requireComponent, whyMissing } from '../../../lab/index.ts';
import { run } from '../../../lab/exec.ts';

const missing = whyMissing(await ensureComponents(['openssl']));
const kube = new URL('../../../src/kube/', import.meta.url).href;

/** What a process says that connects, checks health or probes a backend, with the CA of a file or with none. */
const client = `
  import { readFileSync } from 'node:fs';
  const { openSocket } = await import('${kube}socket.ts');
  const { plainConnection } = await import('${kube}connection.ts');
  const { fixedCredentials } = await import('${kube}credentials.ts');
  const { createBackendProber } = await import('${kube}backend-probe.ts');
  const { createHealthProbe } = await import('${kube}health-probe.ts');
  const [, portText, how, caFile = ''] = process.argv;
  const port = Number(portText);
  const server = { scheme: 'https', host: 'localhost', port, basePath: '' };
  const ca = caFile === '' ? undefined : readFileSync(caFile, 'utf8');
  const connection = { ...plainConnection(server), ca };
  const signal = AbortSignal.timeout(20000);
  const attempts = {
    socket: async () => {
      const { socket } = await openSocket(connection, { lookup: undefined, proxy: undefined }, signal);
      socket.destroy();
    },
    health: () => createHealthProbe('https://localhost:' + port + '/livez', caFile)(signal),
    backend: async () => {
      const prober = createBackendProber(fixedCredentials(connection), { port, path: '/readyz' });
      return prober.probe('localhost', signal).finally(() => prober.close());
    },
  };
  console.log(await attempts[how]().catch((error) => error.message) ?? 'good');
`;

const distrust = /unable to (?:verify|get)|self-signed|issuer/;

describe('whose certificates are trusted', { skip: missing ?? false }, () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'kube-vip-trust-'));
  const file = (name: string): string => path.join(dir, name);
  let port: number;
  const server = createServer((_request, response) => {
    response.end('ok');
  });

  /** A certificate `NAME.crt`, signed by itself or by another one's key. */
  async function makeCertificate(
    name: string,
    extensions: readonly string[],
    issuer?: string,
  ): Promise<void> {
    const made = [
      'req',
      '-x509',
      '-days',
      '2',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
    ];
    const signed =
      issuer === undefined ? [] : ['-CA', file(`${issuer}.crt`), '-CAkey', file(`${issuer}.key`)];
    const wishes = extensions.flatMap((extension) => ['-addext', extension]);
    const files = ['-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)];
    await run(requireComponent('openssl'), [...made, ...files, ...signed, ...wishes]);
  }

  before(async () => {
    await makeCertificate('root', ['keyUsage=critical,keyCertSign']);
    await makeCertificate('kubernetes', ['keyUsage=critical,keyCertSign'], 'root');
    const leaf = ['basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:localhost'];
    await makeCertificate('apiserver', leaf, 'kubernetes');
    const cert = ['apiserver.crt', 'kubernetes.crt'].map((name) => readFileSync(file(name), 'utf8')).join('');
    server.setSecureContext({ cert, key: readFileSync(file('apiserver.key')) });
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    port = (server.address() as AddressInfo).port;
    writeFileSync(file('none.crt'), '');
  });
  after(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });

  /** What that process says where the system trusts only the authorities of this file. */
  function said(system: string, how: string, ...caFile: readonly string[]): Promise<string> {
    const env = { PATH: process.env['PATH'], SSL_CERT_FILE: file(system), SSL_CERT_DIR: file('no-folder') };
    const argv = ['--input-type=module-typescript', '-e', client, String(port), how, ...caFile.map(file)];
    return new Promise((resolve) => {
      execFile(process.execPath, argv, { env }, (error, stdout, stderr) => {
        resolve(error === null ? stdout.trim() : stderr);
      });
    });
  }

  it('where nobody is named, those of the authorities of the system, as by Go programs', async () => {
    for (const how of ['socket', 'health']) {
      assert.match(await said('none.crt', how), distrust, how);
      assert.equal(await said('root.crt', how), 'good', how);
    }
  });

  it('an intermediate CA alone is enough, as for Go programs: the CA of a cluster may be one', async () => {
    for (const how of ['socket', 'health', 'backend']) {
      assert.equal(await said('none.crt', how, 'kubernetes.crt'), 'good', how);
      assert.equal(await said('none.crt', how, 'root.crt'), 'good', how);
    }
    await makeCertificate('stranger', ['keyUsage=critical,keyCertSign']);
    for (const how of ['socket', 'health', 'backend'])
      assert.match(await said('none.crt', how, 'stranger.crt'), distrust, how);
  });

  it('a CA file that holds no certificate ends the start with a message', async () => {
    const [head, tail] = ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'];
    writeFileSync(file('broken.crt'), `${head}\nbm90IGEgY2VydGlmaWNhdGU=\n${tail}\n`);
    assert.match(
      await said('none.crt', 'health', 'broken.crt'),
      /broken\.crt contains no valid certificates/,
    );
  });
});
