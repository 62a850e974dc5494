import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { resolve } from 'node:path';
import { kubeconfig } from '../../unit/kube/kubeconfig-text.ts';
import { POWERLESS, type RealApi } from '../kube/real-api.ts';

const main = resolve(import.meta.dirname, '../../../src/main.ts');
/** One of them is killed, and the next one waits for this long. Short of that a busy machine may stand still. */
const timings = [
  '--leader-elect-lease-duration=12s',
  '--leader-elect-renew-deadline=8s',
  '--leader-elect-retry-period=1s',
];

/** `kube-vip cloud-controller` as a process, with the rights of its manifest and no others. */
export class Controller {
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  private text = '';

  constructor(api: RealApi, port: number) {
    const { ca, server } = api.connection;
    const file = path.join(api.dir, 'controller.kubeconfig');
    writeFileSync(
      file,
      kubeconfig({
        server: `https://${server.host}:${server.port}`,
        cluster: { 'certificate-authority-data': Buffer.from(ca ?? '').toString('base64') },
        user: { token: POWERLESS.token },
      }),
    );
    const flags = ['--kubeconfig', file, `--prometheusHTTPServer=127.0.0.1:${port}`, ...timings];
    this.process = spawn(process.execPath, [main, 'cloud-controller', ...flags], {
      env: { vip_nodename: 'lab' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.process.stderr?.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
    this.exited = new Promise((done) => this.process.once('exit', done));
  }

  get log(): string {
    return this.text;
  }

  get isActive(): boolean {
    return this.text.includes('this process assigns addresses');
  }

  /** Its exit status after this signal; null when it had to be killed. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.process.kill(signal);
    const patience = setTimeout(() => this.process.kill('SIGKILL'), 30_000);
    try {
      return await this.exited;
    } finally {
      clearTimeout(patience);
    }
  }
}

/** The documents that `kube-vip manifest <what>` writes with these settings. */
export function manifestText(what: string, env: Readonly<Record<string, string>> = {}): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'manifest', what], {
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
