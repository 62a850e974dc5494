import { fileURLToPath } from 'node:url';
import type { Machine } from '../machine.ts';
import { mayGoFirst } from '../proc.ts';
import type { LabProcess } from '../process.ts';
import { waitFor } from '../wait.ts';
import type { Live, ProbeConfig, ProbeLine, ProbeReport } from './probe.ts';

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const defaultPort = 7007;

/**
 * What measures must not wait for what is measured: a starved prober or responder looks like a gap. Real-time
 * scheduling where it is allowed (root); elsewhere the prober's own stalls are at least taken into account.
 */
export const promptly: readonly string[] = mayGoFirst() ? ['chrt', '--fifo', '10'] : [];

/** Starts the answering end on a node; ready when this resolves. */
export async function startResponder(node: Machine, port = defaultPort): Promise<LabProcess> {
  const responder = node.start('responder', [
    ...promptly,
    process.execPath,
    script('responder.ts'),
    node.name,
    String(port),
  ]);
  await responder.waitForLog(/ready/);
  return responder;
}

let probersStarted = 0;

/** A client that asks for the VIP a thousand times a second, in a process of its own. */
export class Prober {
  readonly #process: LabProcess;
  #live: Live = { sent: 0, answered: 0, by: undefined, at: undefined };
  readonly #reports: ProbeReport[] = [];
  #ready = false;
  #isSilent = false;

  private constructor(client: Machine, config: ProbeConfig) {
    this.#process = client.start(
      `prober${++probersStarted}`,
      [...promptly, process.execPath, script('probe.ts'), JSON.stringify(config)],
      { pipe: true },
    );
    const lines = this.#process.lines();
    lines.on('line', (text) => {
      const line = JSON.parse(text) as ProbeLine;
      if ('live' in line) this.#live = line.live;
      else if ('report' in line) this.#reports.push(line.report);
      else this.#ready = true;
    });
    // Its last words may be read after its end.
    lines.on('close', () => (this.#isSilent = true));
  }

  /** Resolves when the first probe is on its way, answered or not. */
  static async start(
    client: Machine,
    target: string,
    options: Partial<Omit<ProbeConfig, 'target'>> = {},
  ): Promise<Prober> {
    const prober = new Prober(client, {
      port: defaultPort,
      // A little more than a thousand a second, whatever the timers lose.
      intervalMs: 0.8,
      lateMs: 50,
      reportMs: 5,
      ...options,
      target,
    });
    await prober.#wait(() => prober.#ready, 'the prober to start');
    return prober;
  }

  /** Refreshed about every 50 ms. */
  get live(): Live {
    return this.#live;
  }

  /** Resolves with the name of the node that answers probes sent after this call. */
  async answering(timeoutMs = 30_000): Promise<string> {
    const since = this.#live.answered;
    return this.#wait(
      () => (this.#live.answered > since ? this.#live.by : undefined),
      'an answer through the VIP',
      timeoutMs,
    );
  }

  /** What was measured up to now; the prober goes on. */
  async report(): Promise<ProbeReport> {
    const had = this.#reports.length;
    this.#process.child.stdin?.write('report\n');
    return this.#wait(() => this.#reports[had], 'a report of the prober');
  }

  /** Ends the measurement. */
  async stop(): Promise<ProbeReport> {
    const had = this.#reports.length;
    this.#process.child.stdin?.end();
    return this.#wait(() => this.#reports[had], 'the last report of the prober');
  }

  /** Without a report; harmless after `stop`. */
  async kill(): Promise<void> {
    if (this.#process.alive) await this.#process.kill();
  }

  #wait<T>(
    condition: () => T,
    what: string,
    timeoutMs = 30_000,
  ): Promise<Exclude<T, undefined | null | false>> {
    return waitFor(condition, {
      what,
      timeoutMs,
      detail: () => this.#process.tail(),
      hopeless: () => (this.#isSilent ? 'the prober ended' : undefined),
    });
  }
}
