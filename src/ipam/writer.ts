import type { KubeErrorKind, KubeObject } from '../kube/types.ts';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random, Timer } from '../lib/clock.ts';
import { hangingMs, Places } from '../lib/places.ts';
import type { ServiceKey } from './types.ts';

export interface WriterParts {
  /** Optimistic update of a Service; rejects with a KubeError. */
  readonly write: (service: KubeObject, signal: AbortSignal) => Promise<void>;
  /** Asked at the last moment: may this process still write? */
  readonly mayWrite: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/** How a write ended. */
export interface Outcome {
  readonly key: ServiceKey;
  /** undefined: written. */
  readonly failure: { readonly kind: KubeErrorKind | undefined; readonly error: unknown } | undefined;
  /** Milliseconds until it is tried again; undefined when it is not. */
  readonly retryMs: number | undefined;
}

/** Updates under way at the same time, without those that hang. */
const maxInFlight = 32;
const backoff = { baseMs: 100, maxMs: 30_000 };

interface Job {
  readonly body: KubeObject;
  attempts: number;
  timer: Timer | undefined;
  running: AbortController | undefined;
  /** The last try took long. */
  isSlow: boolean;
}

/** Sends updates of Services, side by side, the same one again until it is accepted or makes no sense any more. */
export class ServiceWriter {
  private readonly parts: WriterParts;
  private readonly ended: (outcome: Outcome) => void;
  private readonly jobs = new Map<ServiceKey, Job>();
  private readonly queue = new Set<ServiceKey>();
  private readonly slowQueue = new Set<ServiceKey>();
  private readonly places: Places;
  private idle: (() => void)[] = [];

  /** `ended` hears of every try. */
  constructor(parts: WriterParts, ended: (outcome: Outcome) => void) {
    this.parts = parts;
    this.ended = ended;
    this.places = new Places(parts.clock, maxInFlight);
  }

  get size(): number {
    return this.jobs.size;
  }

  isRunning(key: ServiceKey): boolean {
    return this.jobs.get(key)?.running !== undefined;
  }

  /** @param delayMs not before. */
  put(key: ServiceKey, body: KubeObject, delayMs = 0): void {
    this.drop(key);
    const job: Job = { body, attempts: 0, timer: undefined, running: undefined, isSlow: false };
    this.jobs.set(key, job);
    if (delayMs > 0) {
      this.enqueueAfter(key, job, delayMs);
      return;
    }
    this.queue.add(key);
    this.pump();
  }

  /** Forgets it; what is under way is abandoned. */
  drop(key: ServiceKey): void {
    const job = this.jobs.get(key);
    job?.timer?.cancel();
    job?.running?.abort();
    this.jobs.delete(key);
    this.queue.delete(key);
    this.slowQueue.delete(key);
  }

  /** Nothing new is begun; resolves when what is under way has ended. */
  async drain(): Promise<void> {
    this.queue.clear();
    this.slowQueue.clear();
    for (const job of this.jobs.values()) job.timer?.cancel();
    if (this.places.taken > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  close(): void {
    for (const key of [...this.jobs.keys()]) this.drop(key);
  }

  private pump(): void {
    for (const queue of [this.queue, this.slowQueue]) {
      for (const key of queue) {
        if (!this.places.isFree(queue === this.slowQueue) || !this.parts.mayWrite()) break;
        queue.delete(key);
        const job = this.jobs.get(key);
        if (job !== undefined) void this.run(key, job);
      }
    }
  }

  private async run(key: ServiceKey, job: Job): Promise<void> {
    const running = new AbortController();
    job.running = running;
    const startedAt = this.parts.clock.now();
    const end = this.places.take(job.isSlow, (isOneTooMany) => {
      job.isSlow = true;
      if (isOneTooMany) running.abort(new Error(`no answer in ${hangingMs} ms`));
      this.pump();
    });
    let failure: Outcome['failure'];
    try {
      await this.parts.write(job.body, running.signal);
    } catch (error) {
      job.isSlow = this.parts.clock.now() - startedAt >= hangingMs;
      failure = { kind: kindOf(error), error: running.signal.aborted ? running.signal.reason : error };
    }
    end();
    job.running = undefined;
    if (this.jobs.get(key) === job) this.settle(key, job, failure);
    if (this.places.taken === 0) for (const tell of this.idle.splice(0)) tell();
    this.pump();
  }

  private settle(key: ServiceKey, job: Job, failure: Outcome['failure']): void {
    const isOver = failure === undefined || failure.kind === 'not-found';
    if (isOver) this.jobs.delete(key);
    const retryMs = isOver ? undefined : backoffMs(++job.attempts, backoff, this.parts.random);
    if (retryMs !== undefined) this.enqueueAfter(key, job, retryMs);
    this.ended({ key, failure, retryMs });
  }

  private enqueueAfter(key: ServiceKey, job: Job, delayMs: number): void {
    job.timer = this.parts.clock.after('ipam-write', delayMs, () => {
      job.timer = undefined;
      (job.isSlow ? this.slowQueue : this.queue).add(key);
      this.pump();
    });
  }
}

function kindOf(error: unknown): KubeErrorKind | undefined {
  const kind = error instanceof Error && 'kind' in error ? error.kind : undefined;
  return typeof kind === 'string' ? (kind as KubeErrorKind) : undefined;
}
