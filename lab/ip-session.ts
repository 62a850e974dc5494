import type { Interface } from 'node:readline';
import type { LabProcess } from './process.ts';

/** Asked for after every question: where its answer ends. */
const END_MARK = 'link show lo';
const END = /^\d+: lo: </;
const PATIENCE_MS = 5_000;

/**
 * One `ip -o -batch` in a machine that answers again and again. Tests look at addresses every few milliseconds,
 * and a new `ip` each time is forty times the work.
 */
export class IpSession {
  readonly #start: () => LabProcess;
  #process: LabProcess | undefined;
  #lines: Interface | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** `start` runs `IpSession.command` with pipes; it is called again when the process has ended. */
  constructor(start: () => LabProcess) {
    this.#start = start;
  }

  static readonly command = ['stdbuf', '-oL', 'ip', '-o', '-force', '-batch', '-'] as const;

  /** The lines of an answer, none too when the command fails. Rejects when `ip` ends or keeps silent. */
  ask(command: string): Promise<readonly string[]> {
    const answer = this.#last.then(() => this.#askNow(command));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #askNow(command: string): Promise<readonly string[]> {
    const process = this.#running();
    const lines = this.#lines;
    const answer: string[] = [];
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        lines?.off('line', hear).off('close', end);
        act();
      };
      const hear = (line: string): void => {
        if (END.test(line)) settle(() => resolve(answer));
        else answer.push(line);
      };
      const end = (): void => settle(() => reject(new Error(`ip ended while asked: ${command}`)));
      const timer = setTimeout(() => {
        // What it says later would be taken for the next answer.
        void process.kill();
        settle(() => reject(new Error(`ip did not answer: ${command}`)));
      }, PATIENCE_MS);
      lines?.on('line', hear).on('close', end);
      process.child.stdin?.write(`${command}\n${END_MARK}\n`);
    });
  }

  #running(): LabProcess {
    if (this.#process?.alive === true) return this.#process;
    const started = this.#start();
    // Its machine lost its power between two questions.
    started.child.stdin?.on('error', () => undefined);
    this.#lines = started.lines();
    this.#process = started;
    return started;
  }
}
