import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { requireComponent, waitFor } from '../../../lab/index.ts';
import type { Timings } from '../../../src/election/index.ts';
import type { RealApi } from '../kube/real-api.ts';

interface Line {
  readonly event: 'leading' | 'stopped' | 'observed';
  readonly leader: string;
  /** Wall clock, ms since the epoch. */
  readonly at: number;
}

/** A candidate that runs client-go's own elector, in its own process. */
export class GoCandidate {
  readonly identity: string;
  /** Tenures, in wall-clock milliseconds; the last may be open. */
  readonly tenures: { readonly from: number; to: number | undefined }[] = [];
  private readonly child: ChildProcess;
  private errors = '';

  constructor(api: RealApi, lease: { readonly name: string; readonly identity: string }, timings: Timings) {
    this.identity = lease.identity;
    const { server, ca = '', token = '' } = api.connection;
    const caFile = path.join(api.dir, `${lease.identity}-ca.crt`);
    writeFileSync(caFile, ca);
    this.child = spawn(
      requireComponent('lease-candidate'),
      [
        `--server=https://${server.host}:${server.port}`,
        `--ca=${caFile}`,
        `--token=${token}`,
        '--namespace=default',
        `--name=${lease.name}`,
        `--identity=${lease.identity}`,
        `--lease=${timings.leaseDurationMs}ms`,
        `--renew=${timings.renewDeadlineMs}ms`,
        `--retry=${timings.retryPeriodMs}ms`,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    createInterface(stdout).on('line', (text) => {
      this.hear(JSON.parse(text) as Line);
    });
    stderr.on('data', (chunk: Buffer) => (this.errors = (this.errors + chunk.toString()).slice(-2000)));
  }

  get leads(): boolean {
    const last = this.tenures.at(-1);
    return last !== undefined && last.to === undefined;
  }

  async untilLeading(): Promise<void> {
    await waitFor(() => this.leads, {
      what: `${this.identity} to lead`,
      detail: () => this.errors,
    });
  }

  /** SIGTERM: gives the lease back. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.close(Date.now());
    this.child.kill(signal);
    await gone;
  }

  private hear(line: Line): void {
    if (line.event === 'leading') this.tenures.push({ from: line.at, to: undefined });
    if (line.event === 'stopped') this.close(line.at);
  }

  private close(at: number): void {
    const last = this.tenures.at(-1);
    if (last !== undefined) last.to ??= at;
  }
}
