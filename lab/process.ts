import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { inNamespace } from './netns.ts';
import { identify, isAlive, signal } from './proc.ts';
import type { ProcessId } from './proc.ts';
import type { Registry } from './registry.ts';
import { waitFor } from './wait.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  readonly namespace: string;
  readonly command: readonly string[];
  /** Standard output and error are appended here, unless `pipe`. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Standard input and output are left to the caller, as pipes. */
  readonly pipe?: boolean;
}

/** One long-running program of a lab. It leads a process group of its own. */
export class LabProcess {
  readonly name: string;
  readonly logFile: string;
  readonly id: ProcessId;
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  /** Bytes in the log file before this run: what an earlier program of the same name said. */
  readonly #said: number;

  private constructor(
    name: string,
    log: { readonly file: string; readonly said: number },
    id: ProcessId,
    child: ChildProcess,
  ) {
    this.name = name;
    this.logFile = log.file;
    this.#said = log.said;
    this.id = id;
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, by) => {
        resolve({ code, signal: by });
      });
    });
  }

  /** Starts a program inside a namespace and notes it in the registry. Throws when it cannot be started. */
  static start(registry: Registry, name: string, options: StartOptions): LabProcess {
    const log = openSync(options.logFile, 'a');
    try {
      const said = fstatSync(log).size;
      const [program = '', ...args] = inNamespace(options.namespace, options.command);
      const child = spawn(program, args, {
        detached: true,
        env: { ...process.env, ...options.env },
        stdio: options.pipe === true ? ['pipe', 'pipe', log] : ['ignore', log, log],
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      });
      child.on('error', () => undefined);
      // A forgotten program must not keep the owner alive: the reaper ends it.
      child.unref();
      const id = child.pid === undefined ? undefined : identify(child.pid);
      if (id === undefined) throw new Error(`${name}: cannot start ${options.command.join(' ')}`);
      registry.addProcess(id);
      return new LabProcess(name, { file: options.logFile, said }, id, child);
    } finally {
      closeSync(log);
    }
  }

  get pid(): number {
    return this.id.pid;
  }

  get alive(): boolean {
    return isAlive(this.id);
  }

  /** What it says, line by line; of one that was started with `pipe`. */
  lines(): Interface {
    const { stdout } = this.child;
    if (stdout === null) throw new Error(`${this.name} has no pipe to read from`);
    return createInterface({ input: stdout });
  }

  /** Signals the process itself, or its children too; false when it is gone. */
  signal(name: NodeJS.Signals, group = false): boolean {
    return signal(this.id, name, group);
  }

  /** Asks it to end, and kills its group after `patienceMs`. */
  async stop(patienceMs = 20_000): Promise<Exit> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const timer = setTimeout(() => {
      signal(this.id, 'SIGKILL', true);
    }, patienceMs);
    this.child.ref();
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** SIGKILL to the whole group; works on a paused process too. */
  async kill(): Promise<Exit> {
    signal(this.id, 'SIGKILL', true);
    this.child.ref();
    return this.exited;
  }

  /** How it ends, by itself or after a signal; an Error when it still runs after `timeoutMs`. */
  async untilExit(timeoutMs = 60_000): Promise<Exit> {
    let exit: Exit | undefined;
    void this.exited.then((seen) => (exit = seen));
    return waitFor(() => exit, {
      what: `${this.name} to end`,
      timeoutMs,
      detail: () => this.tail(30),
    });
  }

  /** What it has said since it was started. */
  log(): string {
    return readFileSync(this.logFile).subarray(this.#said).toString();
  }

  /** The last lines of the log file, earlier runs included, for error messages. */
  tail(lines = 15): string {
    return `--- ${this.name} (${this.logFile})\n${readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')}`;
  }

  /** Waits until the log matches; fails at once when the program ends before. */
  async waitForLog(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    return waitFor(() => pattern.exec(this.log()), {
      what: `${this.name} to log ${pattern.source}`,
      timeoutMs,
      detail: () => this.tail(),
      hopeless: () => (this.alive ? undefined : `${this.name} ended`),
    });
  }
}
