import type { Machine } from './machine.ts';
import type { Exit, LabProcess } from './process.ts';

export interface SupervisedOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Restart it when it ends, as a kubelet does; default true. */
  readonly supervise?: boolean;
  /** Default 1 000. */
  readonly restartDelayMs?: number;
  /** Called before each start, e.g. to remove what the last run left. */
  readonly prepare?: () => void;
}

/** A program on a node that is restarted some time after it ends, unless it was told to stay down. */
export class Supervised {
  readonly node: Machine;
  /** How each run ended so far; `at` is wall-clock milliseconds. */
  readonly exits: (Exit & { readonly at: number })[] = [];
  readonly #name: string;
  readonly #command: readonly string[];
  readonly #options: SupervisedOptions;
  readonly #first: LabProcess;
  #process: LabProcess;
  #wanted: boolean;
  #restart: NodeJS.Timeout | undefined;
  #starts = 0;

  constructor(node: Machine, name: string, command: readonly string[], options: SupervisedOptions = {}) {
    this.node = node;
    this.#name = name;
    this.#command = command;
    this.#options = options;
    this.#wanted = options.supervise ?? true;
    this.#first = this.#spawn();
    this.#process = this.#first;
  }

  get process(): LabProcess {
    return this.#process;
  }

  /** Will it come back by itself? */
  get supervised(): boolean {
    return this.#wanted;
  }

  /** How often it was started, the first time included. */
  get starts(): number {
    return this.#starts;
  }

  /** The log of all its runs, but of no other program that had the same name before. */
  log(): string {
    return this.#first.log();
  }

  /** To the process, or its children too. */
  signal(name: NodeJS.Signals, group = false): boolean {
    return this.#process.signal(name, group);
  }

  /** SIGTERM, and no restart. */
  async stop(patienceMs?: number): Promise<Exit> {
    this.halt();
    return this.#process.stop(patienceMs);
  }

  /** SIGKILL to it and its children; a supervised one comes back. */
  async kill(): Promise<Exit> {
    return this.#process.kill();
  }

  /** No restart any more; a running process goes on. */
  halt(): void {
    this.#wanted = false;
    clearTimeout(this.#restart);
  }

  /** After `stop`, `halt` or an unsupervised end: runs again, supervised as at first. */
  startAgain(): void {
    this.#wanted = this.#options.supervise ?? true;
    clearTimeout(this.#restart);
    if (!this.#process.alive) this.#process = this.#spawn();
  }

  #spawn(): LabProcess {
    this.#starts++;
    this.#options.prepare?.();
    const { env, cwd } = this.#options;
    const started = this.node.start(this.#name, this.#command, {
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
    });
    void started.exited.then((exit) => {
      this.exits.push({ ...exit, at: Date.now() });
      // `startAgain` may have been faster than the news of this end.
      if (!this.#wanted || this.#process !== started) return;
      this.#restart = setTimeout(() => {
        this.#process = this.#spawn();
      }, this.#options.restartDelayMs ?? 1_000);
      this.#restart.unref();
    });
    return started;
  }
}
