import { execFile } from 'node:child_process';

/** What a finished program left behind. `code` is undefined when a signal ended it. */
export interface Finished {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Text for the program's standard input. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** A program that had to succeed did not. */
export class CommandError extends Error {
  readonly finished: Finished;
  constructor(command: readonly string[], finished: Finished) {
    const said = (finished.stderr.trim() || finished.stdout.trim()).slice(-2000);
    super(`${command.join(' ')}: exit ${finished.code ?? 'by signal'}${said === '' ? '' : `: ${said}`}`);
    this.name = 'CommandError';
    this.finished = finished;
  }
}

/** Runs a program to its end; never rejects because of its exit status, only when it cannot be started. */
export function tryRun(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      [...args],
      {
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        timeout: options.timeoutMs ?? 60_000,
        killSignal: 'SIGKILL',
        maxBuffer: 64 << 20,
      },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code === 'string') {
          reject(new Error(`cannot run ${command}: ${error.message}`, { cause: error }));
          return;
        }
        resolve({
          code: error === null ? 0 : typeof error.code === 'number' ? error.code : undefined,
          stdout,
          stderr,
        });
      },
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  });
}

/** Like `tryRun`, but a non-zero status is a CommandError. Returns the standard output. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const finished = await tryRun(command, args, options);
  if (finished.code !== 0) throw new CommandError([command, ...args], finished);
  return finished.stdout;
}
