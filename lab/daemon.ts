import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from './components.ts';
import type { Machine } from './machine.ts';
import type { Exit, LabProcess } from './process.ts';
import { waitFor } from './wait.ts';

export interface DaemonOptions {
  /** Settings, as environment variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Command-line arguments; default: manager. */
  readonly args?: readonly string[];
  /** Restart it one second after it ends, as a kubelet does; default true. */
  readonly supervise?: boolean;
  readonly restartDelayMs?: number;
  /** The checkout's sources (default, or KUBE_VIP_LAB_PROGRAM), or the bundle that `npm run build` makes. */
  readonly program?: 'source' | 'dist';
  /** Files it finds below /etc instead of the machine's own, e.g. `hosts` or `kubernetes/admin.conf`. */
  readonly etc?: Readonly<Record<string, string>>;
  /** Put before the command, e.g. `['setpriv', '--bounding-set', '-net_admin', '--']`. */
  readonly wrapper?: readonly string[];
}

/** The program under test on one node, with what a kubelet would do for it. */
export class Daemon {
  readonly node: Machine;
  readonly #options: DaemonOptions;
  readonly #command: readonly string[];
  #process: LabProcess;
  #supervised: boolean;
  #restart: NodeJS.Timeout | undefined;
  /** How each run ended so far. */
  readonly exits: (Exit & { readonly at: number })[] = [];
  #starts = 0;

  private constructor(node: Machine, options: DaemonOptions) {
    this.node = node;
    this.#options = options;
    this.#supervised = options.supervise ?? true;
    this.#command = commandFor(node, options);
    this.#process = this.#spawn();
  }

  static start(node: Machine, options: DaemonOptions): Daemon {
    return new Daemon(node, options);
  }

  get process(): LabProcess {
    return this.#process;
  }

  /** How often it was started, the first time included. */
  get starts(): number {
    return this.#starts;
  }

  /** The log of all its runs. */
  log(): string {
    return this.#process.log();
  }

  /** GET of a path on its own port, without a client program: status and body; undefined while nothing listens. */
  async http(
    urlPath: string,
    port = 2112,
  ): Promise<{ readonly status: number; readonly body: string } | undefined> {
    const script = `exec 3<>/dev/tcp/127.0.0.1/${port} && printf 'GET %s HTTP/1.0\\r\\nHost: lab\\r\\n\\r\\n' "$1" >&3 && cat <&3`;
    const { code, stdout } = await this.node.tryRun('bash', ['-c', script, 'bash', urlPath], {
      timeoutMs: 5_000,
    });
    const [, status = ''] = /^HTTP\/1\.[01] (\d+)/.exec(stdout) ?? [];
    if (code !== 0 || status === '') return undefined;
    return { status: Number(status), body: stdout.slice(stdout.indexOf('\r\n\r\n') + 4) };
  }

  /** Until /readyz says 200. */
  async waitReady(timeoutMs = 15_000): Promise<void> {
    await waitFor(async () => (await this.http('/readyz'))?.status === 200, {
      what: `the daemon of ${this.node.name} to be ready`,
      timeoutMs,
      everyMs: 50,
      detail: () => this.#process.tail(30),
      hopeless: () => (this.#supervised || this.#process.alive ? undefined : 'the daemon ended,'),
    });
  }

  signal(name: NodeJS.Signals): boolean {
    return this.#process.signal(name);
  }

  /** SIGTERM, and no restart. */
  async stop(patienceMs?: number): Promise<Exit> {
    this.#unsupervise();
    return this.#process.stop(patienceMs);
  }

  /** SIGKILL; a supervisor restarts it. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** No restart any more, the process goes on. */
  halt(): void {
    this.#unsupervise();
  }

  /** After `stop` or `halt`: runs again, supervised as before. */
  startAgain(): void {
    this.#supervised = this.#options.supervise ?? true;
    if (!this.#process.alive) this.#process = this.#spawn();
  }

  #unsupervise(): void {
    this.#supervised = false;
    clearTimeout(this.#restart);
  }

  #spawn(): LabProcess {
    this.#starts++;
    const started = this.node.start('kube-vip', this.#command, { env: this.#options.env, cwd: projectRoot });
    void started.exited.then((exit) => {
      this.exits.push({ ...exit, at: Date.now() });
      if (!this.#supervised) return;
      this.#restart = setTimeout(() => {
        this.#process = this.#spawn();
      }, this.#options.restartDelayMs ?? 1_000);
      this.#restart.unref();
    });
    return started;
  }
}

function commandFor(node: Machine, options: DaemonOptions): readonly string[] {
  const fromEnvironment = process.env['KUBE_VIP_LAB_PROGRAM'] === 'dist' ? 'dist' : 'source';
  const program =
    (options.program ?? fromEnvironment) === 'dist'
      ? [path.join(projectRoot, 'bin', 'kube-vip')]
      : [process.execPath, path.join(projectRoot, 'src', 'main.ts')];
  const command = [...(options.wrapper ?? []), ...program, ...(options.args ?? ['manager'])];
  return options.etc === undefined ? command : [...withEtc(node, options.etc), ...command];
}

/** A private mount namespace in which these files lie over the machine's /etc. */
function withEtc(node: Machine, files: Readonly<Record<string, string>>): readonly string[] {
  const [upper, work] = [path.join(node.dir, 'etc'), path.join(node.dir, 'etc-work')];
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(upper, name)), { recursive: true });
    writeFileSync(path.join(upper, name), text);
  }
  mkdirSync(work, { recursive: true });
  const script =
    'mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1,workdir=$2" /etc && shift 2 && exec "$@"';
  return ['unshare', '-m', 'sh', '-c', script, 'sh', upper, work];
}
