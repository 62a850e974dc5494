import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomInt } from 'node:crypto';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { apiServerEnvironment, requireComponent, waitFor } from '../../../lab/index.ts';
import type { Connection } from '../../../src/kube/index.ts';

/** etcd and one kube-apiserver on loopback ports of their own. */
export interface RealApi {
  readonly connection: Connection;
  readonly dir: string;
  compact(): Promise<void>;
  /** SIGTERM, then a new process on the same port, with the same certificate unless told otherwise. */
  restart(options?: { readonly newCertificate?: boolean }): Promise<void>;
  close(): Promise<void>;
}

const TOKEN = 'contract-token';
/** Of a user without any rights. */
export const POWERLESS = { token: 'powerless-token', name: 'powerless' };

/** Ready when it resolves. One of the two ends by itself when the machine is too busy: then both are tried once more. */
export async function startRealApi(): Promise<RealApi> {
  return startOnce().catch(startOnce);
}

async function startOnce(): Promise<RealApi> {
  const dir = mkdtempSync(path.join(tmpdir(), 'kube-vip-api-'));
  const running = new Set<ChildProcess>();
  const [client = 0, peer = 0, port = 0] = await freePorts(3);
  const close = async (): Promise<void> => {
    await Promise.all([...running].map(kill));
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const start = (name: string, args: readonly string[]): ChildProcess => {
      const child = launch(dir, name, args);
      running.add(child);
      return child;
    };
    const etcdUrl = `http://127.0.0.1:${client}`;
    start('etcd', etcdArguments(dir, etcdUrl, `http://127.0.0.1:${peer}`));
    writeCredentials(dir);
    const startServer = (): ChildProcess => start('kube-apiserver', serverArguments(dir, etcdUrl, port));
    let server = startServer();
    const ready = async (): Promise<Connection> =>
      connectionWhenReady(dir, port, () => [...running].every(isRunning));
    const api = { connection: await ready() };
    return {
      ...api,
      dir,
      compact: () => compact(etcdUrl),
      restart: async ({ newCertificate = false } = {}) => {
        await kill(server);
        running.delete(server);
        if (newCertificate) rmSync(path.join(dir, 'certs'), { recursive: true });
        server = startServer();
        await ready();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function etcdArguments(dir: string, url: string, peer: string): readonly string[] {
  return [
    `--data-dir=${path.join(dir, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

function serverArguments(dir: string, etcdUrl: string, port: number): readonly string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${path.join(dir, 'certs')}`,
    `--token-auth-file=${path.join(dir, 'tokens.csv')}`,
    `--service-account-key-file=${path.join(dir, 'sa.key')}`,
    `--service-account-signing-key-file=${path.join(dir, 'sa.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=RBAC',
    '--endpoint-reconciler-type=none',
    '--v=1',
  ];
}

function writeCredentials(dir: string): void {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(path.join(dir, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  writeFileSync(
    path.join(dir, 'tokens.csv'),
    `${TOKEN},contract,1,system:masters\n${POWERLESS.token},${POWERLESS.name},2\n`,
  );
}

async function connectionWhenReady(
  dir: string,
  port: number,
  areRunning: () => boolean,
): Promise<Connection> {
  const log = path.join(dir, 'kube-apiserver.log');
  await waitFor(() => isReady(dir, port), {
    what: 'the API server',
    timeoutMs: 180_000,
    everyMs: 50,
    detail: () => readFileSync(log, 'utf8').slice(-2000),
    hopeless: () => (areRunning() ? undefined : 'etcd or kube-apiserver ended'),
  });
  return connectionTo(dir, port);
}

function connectionTo(dir: string, port: number): Connection {
  return {
    server: { scheme: 'https', host: '127.0.0.1', port, basePath: '' },
    // Self-signed by kube-apiserver at its first start: its own authority.
    ca: readFileSync(path.join(dir, 'certs', 'apiserver.crt'), 'utf8'),
    cert: undefined,
    key: undefined,
    token: TOKEN,
    isInsecure: false,
    tlsServerName: undefined,
    fallsBackToLoopback: false,
    proxy: undefined,
  };
}

async function isReady(dir: string, port: number): Promise<boolean> {
  const { get } = await import('node:https');
  const { ca } = connectionTo(dir, port);
  return new Promise((resolve, reject) => {
    const request = get(
      {
        host: '127.0.0.1',
        port,
        path: '/readyz',
        ca,
        agent: false,
        headers: { authorization: `Bearer ${TOKEN}` },
      },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      },
    );
    request.setTimeout(2000, () => request.destroy());
    request.on('error', reject);
  });
}

/** Through etcd's JSON gateway, because the API server itself compacts only every five minutes. */
async function compact(etcdUrl: string): Promise<void> {
  const post = async (where: string, body: object): Promise<{ header?: { revision?: string } }> => {
    const answer = await fetch(`${etcdUrl}/v3/kv/${where}`, { method: 'POST', body: JSON.stringify(body) });
    return (await answer.json()) as { header?: { revision?: string } };
  };
  const { header } = await post('range', { key: Buffer.from('/').toString('base64') });
  await post('compaction', { revision: header?.revision ?? '0', physical: true });
}

function launch(dir: string, name: string, args: readonly string[]): ChildProcess {
  const log = openSync(path.join(dir, `${name}.log`), 'a');
  return spawn(requireComponent(name), [...args], {
    cwd: dir,
    env: { ...process.env, ...apiServerEnvironment },
    stdio: ['ignore', log, log],
  });
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function kill(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** Below those that Linux gives to connections: nobody takes one while its server is being started again. */
const [FIRST_PORT, LAST_PORT] = [20_000, 32_000];

async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    if (!ports.includes(port) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
