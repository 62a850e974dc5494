import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { waitFor } from './wait.ts';

/** A file whose reader stands still until it is given the text: a program stopped at a known place. */
export class SlowFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    execFileSync('mkfifo', [path]);
  }

  /** Resolves when somebody waits for the text, with what hands it over. */
  async reader(): Promise<(text: string) => void> {
    const descriptor = await waitFor(() => this.#open(), { what: `somebody to read ${this.path}` });
    return (text) => {
      writeFileSync(descriptor, text);
      closeSync(descriptor);
    };
  }

  /** Without a reader there is nothing to open. */
  #open(): number | undefined {
    try {
      const found = openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK);
      // One that waits when the pipe is full.
      const descriptor = openSync(this.path, constants.O_WRONLY);
      closeSync(found);
      return descriptor;
    } catch {
      return undefined;
    }
  }
}
