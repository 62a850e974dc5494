import type { Machine } from './machine.ts';
import type { LabProcess } from './process.ts';
import { waitFor } from './wait.ts';

let monitorsStarted = 0;
let marks = 0;

/** What `ip monitor` says on a machine, from when `start` resolves to when `stop` is called; nothing in between is lost. */
export class Monitor {
  readonly #machine: Machine;
  readonly #process: LabProcess;
  #lines: Promise<readonly string[]> | undefined;

  private constructor(machine: Machine, process: LabProcess) {
    this.#machine = machine;
    this.#process = process;
  }

  static async start(machine: Machine, objects: 'address' | 'route'): Promise<Monitor> {
    const name = `monitor${++monitorsStarted}`;
    const monitor = new Monitor(machine, machine.start(name, ['ip', '-ts', '-o', 'monitor', objects]));
    await monitor.#heard();
    return monitor;
  }

  /** The lines, one a change. */
  async stop(): Promise<readonly string[]> {
    return (await this.stamped()).map(({ text }) => text);
  }

  /** The same, each with when it was said; milliseconds and fractions of them, by the local clock. */
  async stamped(): Promise<readonly { readonly at: number; readonly text: string }[]> {
    return (await (this.#lines ??= this.#end())).map((line) => {
      const [, stamp = '', micros = '', text = ''] = /^\[(\S+\.\d{3})(\d{3})\] (.*)$/.exec(line) ?? [];
      return { at: Date.parse(`${stamp}Z`) + Number(micros) / 1000, text };
    });
  }

  async #end(): Promise<readonly string[]> {
    await this.#heard();
    await this.#process.stop();
    return this.#process
      .log()
      .split('\n')
      .filter((line) => line !== '' && !line.includes('198.18.'));
  }

  /** What `stop` has, deletions only. */
  async deleted(): Promise<readonly string[]> {
    return (await this.stop()).filter((line) => line.startsWith('Deleted'));
  }

  /** It says neither that it listens nor that it has read everything: something harmless is changed until it tells of that. */
  async #heard(): Promise<void> {
    const mark = marks++;
    const address = `198.18.${(mark >> 8) & 255}.${mark & 255}`;
    await waitFor(
      async () => {
        await this.#machine.ip(`addr replace ${address}/32 dev lo`, `addr del ${address}/32 dev lo`);
        return this.#process.log().includes(`${address} `) || this.#process.log().includes(`${address}/`);
      },
      { what: 'ip monitor to listen', detail: () => this.#process.tail() },
    );
  }
}
