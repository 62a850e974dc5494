import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from './components.ts';
import { httpGet } from './http-get.ts';
import type { Machine } from './machine.ts';
import { Supervised } from './supervised.ts';
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
export class Daemon extends Supervised {
  constructor(node: Machine, options: DaemonOptions) {
    const { env, supervise, restartDelayMs } = options;
    super(node, 'kube-vip', commandFor(node, options), {
      env,
      cwd: projectRoot,
      ...(supervise === undefined ? {} : { supervise }),
      ...(restartDelayMs === undefined ? {} : { restartDelayMs }),
    });
  }

  /** GET of a path on its own port, from inside the node; undefined while nothing listens. */
  async http(
    urlPath: string,
    port = 2112,
  ): Promise<{ readonly status: number; readonly body: string } | undefined> {
    return httpGet(this.node, '127.0.0.1', port, urlPath);
  }

  /** Until /readyz says 200; gives up when it keeps ending. */
  async waitReady(timeoutMs = 60_000): Promise<void> {
    const endedBefore = this.exits.length;
    const isHopeless = (): boolean =>
      this.exits.length - endedBefore >= 3 || (!this.supervised && !this.process.alive);
    await waitFor(async () => (await this.http('/readyz'))?.status === 200, {
      what: `the daemon of ${this.node.name} to be ready`,
      timeoutMs,
      everyMs: 50,
      detail: () => this.process.tail(30),
      hopeless: () => (isHopeless() ? 'the daemon ended' : undefined),
    });
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
