import { fileURLToPath } from 'node:url';
import type { Machine } from '../machine.ts';
import type { LabProcess } from '../process.ts';
import { promptly } from '../prober/prober.ts';
import { waitFor } from '../wait.ts';
import type { LoadConfig, LoadLine, LoadReport } from './request-load.ts';

let loadsStarted = 0;
let nextPort = 10_000;
/** More than any load here uses. */
const portsEach = 8_000;

/**
 * A client that asks over a new connection each time, steadily, in a process of its own. No local port is used twice
 * within minutes: a connection that a dead pod never answered stays in the nodes' connection tracking for two
 * minutes, and whoever comes with the same port meanwhile is sent to the dead pod again.
 */
export class Requests {
  readonly #process: LabProcess;
  #live = { sent: 0, answered: 0, failed: 0, pod: '' };
  #report: LoadReport | undefined;
  #isSilent = false;

  private constructor(client: Machine, config: LoadConfig) {
    const script = fileURLToPath(new URL('request-load.ts', import.meta.url));
    this.#process = client.start(
      `requests${++loadsStarted}`,
      [...promptly, process.execPath, script, JSON.stringify(config)],
      { pipe: true },
    );
    const lines = this.#process.lines();
    lines.on('line', (text) => {
      const line = JSON.parse(text) as LoadLine;
      if ('live' in line) this.#live = line.live;
      else this.#report = line.report;
    });
    // Its last words may come after its end.
    lines.on('close', () => (this.#isSilent = true));
  }

  /** Resolves when the first answer is there. */
  static async start(
    client: Machine,
    url: string,
    options: Partial<Omit<LoadConfig, 'url'>> = {},
  ): Promise<Requests> {
    const firstPort = nextPort;
    nextPort = nextPort + portsEach >= 60_000 ? 10_000 : nextPort + portsEach;
    const requests = new Requests(client, { perSecond: 200, timeoutMs: 5_000, firstPort, ...options, url });
    try {
      await requests.answering();
    } catch (error) {
      await requests.kill();
      throw error;
    }
    return requests;
  }

  /** Refreshed about every 50 ms. */
  get live(): {
    readonly sent: number;
    readonly answered: number;
    readonly failed: number;
    readonly pod: string;
  } {
    return this.#live;
  }

  /** Resolves after some more answers. */
  async answering(more = 1, timeoutMs = 60_000): Promise<void> {
    const since = this.#live.answered;
    await this.#wait(() => this.#live.answered >= since + more, `${more} answers`, timeoutMs);
  }

  /** Ends the load when every request has its answer or has failed. */
  async stop(): Promise<LoadReport> {
    this.#process.child.stdin?.end();
    return this.#wait(() => this.#report, 'the report of the load', 60_000);
  }

  /** Without a report; harmless after `stop`. */
  async kill(): Promise<void> {
    if (this.#process.alive) await this.#process.kill();
  }

  #wait<T>(
    condition: () => T,
    what: string,
    timeoutMs: number,
  ): Promise<Exclude<T, undefined | null | false>> {
    return waitFor(condition, {
      what,
      timeoutMs,
      detail: () => `${JSON.stringify(this.#live)}\n${this.#process.tail()}`,
      hopeless: () => (this.#isSilent && this.#report === undefined ? 'the load ended' : undefined),
    });
  }
}
