import { availableParallelism } from 'node:os';
import type { Kind } from './kinds.ts';

/** One test file to be run. */
export interface Job {
  readonly kind: Kind;
  readonly file: string;
  /** It starts real API servers: seconds of work on every core, several times in a file. */
  readonly startsApiServers: boolean;
  /** A module to load before the file, relative to the root. */
  readonly preload?: string | undefined;
}

/** What a lane takes first, second and so on; each takes from the others when its own is done. */
type Lane = readonly Job[];

const computes = ({ kind }: Job): boolean => kind.niceness !== undefined;
const waits = (job: Job): boolean => !computes(job) && !job.startsApiServers;

/**
 * Which files run beside one another. Those that start real API servers come one after the other: they time what
 * happens, and the start of another file's servers would be in it. Beside them run those that mostly wait (other
 * cluster files, lab), and with the lowest priority those that only compute: they fill what the rest leaves idle.
 */
export class Schedule {
  readonly #waiting: Set<Job>;
  readonly #running = new Set<Job>();
  readonly #lanes: readonly Lane[];
  #changed = Promise.withResolvers<undefined>();

  constructor(jobs: readonly Job[], cores = availableParallelism()) {
    this.#waiting = new Set(jobs);
    const first = (chosen: (job: Job) => boolean, rest = jobs): readonly Job[] => [
      ...rest.filter(chosen),
      ...rest.filter((job) => !chosen(job)),
    ];
    const waiting = first(waits);
    const computing = first(computes, waiting);
    this.#lanes = [
      first(({ startsApiServers }) => startsApiServers, waiting),
      waiting,
      ...Array.from({ length: Math.max(1, cores - 1) }, () => computing),
    ];
  }

  /** Runs them all; resolves early, without starting another one, when the signal is aborted. */
  async run(each: (job: Job) => Promise<void>, signal: AbortSignal): Promise<void> {
    const work = async (lane: Lane): Promise<void> => {
      while (this.#waiting.size > 0 && !signal.aborted) {
        const job = lane.find((candidate) => this.#isAllowed(candidate));
        if (job === undefined) {
          await this.#changed.promise;
          continue;
        }
        this.#waiting.delete(job);
        this.#running.add(job);
        try {
          await each(job);
        } finally {
          this.#running.delete(job);
          this.#changed.resolve(undefined);
          this.#changed = Promise.withResolvers();
        }
      }
    };
    await Promise.all(this.#lanes.map(work));
  }

  #isAllowed(job: Job): boolean {
    if (!this.#waiting.has(job)) return false;
    const others = [...this.#running];
    if (job.startsApiServers && others.some(({ startsApiServers }) => startsApiServers)) return false;
    return others.filter(({ kind }) => kind === job.kind).length < job.kind.concurrency;
  }
}
