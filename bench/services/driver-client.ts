import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LabProcess, Machine } from '../../lab/index.ts';

/** What became of a Service when, wall-clock milliseconds with fractions. */
export interface ServiceTimes {
  /** Its creation was asked for, and answered. */
  readonly sentAt?: number;
  readonly answeredAt?: number;
  /** The driver's own watch saw it, with an address to have, with a status. */
  readonly seenAt?: number;
  readonly assignedAt?: number;
  readonly writtenAt?: number;
  /** The address that it is to have. */
  readonly vip?: string;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

export type DriverRequest =
  | (Span & { readonly op: 'create'; readonly width: number; readonly withAddress: boolean })
  | (Span & { readonly op: 'written' | 'times' })
  | (Span & { readonly op: 'endpoints'; readonly width: number; readonly ready: boolean });

type Answer =
  { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string };

/** The near end of the process that creates Services. */
export class Driver {
  readonly #process: LabProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  constructor(machine: Machine, kubeconfig: string, nodes: readonly string[]) {
    const script = fileURLToPath(new URL('driver.ts', import.meta.url));
    const command = [process.execPath, script, kubeconfig, nodes.join(',')];
    this.#process = machine.start('bench-driver', command, { pipe: true });
    const { stdout } = this.#process.child;
    if (stdout === null) throw new Error('the driver has no standard output');
    createInterface({ input: stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    void this.#process.exited.then(() => {
      const error = `the driver ended:\n${this.#process.tail()}`;
      for (const [id, resolve] of this.#waiting) resolve({ id, error });
    });
  }

  /** Creates Services `from` to `to` (exclusive) with their slices, so many at a time. */
  async create(from: number, to: number, width: number, withAddress: boolean): Promise<void> {
    await this.#ask({ op: 'create', from, to, width, withAddress });
  }

  /** Resolves when all of them have a status. */
  async written(from: number, to: number): Promise<void> {
    await this.#ask({ op: 'written', from, to });
  }

  async times(from: number, to: number): Promise<readonly ServiceTimes[]> {
    return (await this.#ask({ op: 'times', from, to })) as readonly ServiceTimes[];
  }

  /** The last endpoint of each becomes ready, or ceases to be. */
  async endpoints(from: number, to: number, ready: boolean): Promise<void> {
    await this.#ask({ op: 'endpoints', from, to, width: 4, ready });
  }

  async #ask(request: DriverRequest): Promise<unknown> {
    const id = ++this.#lastId;
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#process.child.stdin?.write(`${JSON.stringify({ ...request, id })}\n`);
    });
    if ('error' in answer) throw new Error(`${request.op}: ${answer.error}`);
    return answer.result;
  }
}
