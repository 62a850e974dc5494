import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { hangingMs, Places } from '../lib/places.ts';
import type { KubeErrorKind } from '../kube/types.ts';
import { Contests } from './contests.ts';
import { vipHostOf } from './decide.ts';
import type { Ingress, Service, ServiceKey } from './types.ts';

/** What the holder reports about a Service. */
export interface WantedStatus {
  readonly ingress: readonly Ingress[];
  /** This node, for the annotation `vipHost`; undefined: not written. */
  readonly vipHost: string | undefined;
}

export interface StatusWriterParts {
  /** Writes both with one request, on top of exactly this version of the Service; rejects with a KubeError. */
  readonly write: (service: Service, wanted: WantedStatus, signal: AbortSignal) => Promise<void>;
  /** The Service as last heard of; undefined when it is gone. */
  readonly read: (key: ServiceKey) => Service | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface StatusWriterCounts {
  readonly written: number;
  readonly failed: number;
  readonly waiting: number;
  readonly inFlight: number;
}

/** Writes under way at the same time, without those that hang. */
const maxInFlight = 16;
const retry = { baseMs: 40, maxMs: 30_000 };

interface Job {
  wanted: WantedStatus;
  attempts: number;
  timer: Timer | undefined;
  running: AbortController | undefined;
  /** It waits for a newer version of the Service. */
  isOutdated: boolean;
  /** It waits because somebody else keeps writing over it. */
  isContested: boolean;
  /** The last write took long. */
  isSlow: boolean;
  /** The failure that was logged. */
  logged: string | undefined;
}

/**
 * Brings the status of Services in line with what this node does, behind its back: nothing waits for it.
 * For each Service only the last wish counts, and it is dropped when the Service is withdrawn.
 */
export class StatusWriter {
  private readonly parts: StatusWriterParts;
  private readonly jobs = new Map<ServiceKey, Job>();
  private readonly queue = new Set<ServiceKey>();
  private readonly slowQueue = new Set<ServiceKey>();
  private readonly places: Places;
  private written = 0;
  private failed = 0;
  private readonly contests: Contests;

  constructor(parts: StatusWriterParts) {
    this.parts = parts;
    this.contests = new Contests(parts.clock, parts.random);
    this.places = new Places(parts.clock, maxInFlight);
  }

  /** Call it again whenever the wish or the Service has changed. */
  want(key: ServiceKey, wanted: WantedStatus): void {
    const job = this.jobs.get(key);
    if (job === undefined) {
      const service = this.parts.read(key);
      if (service === undefined || isWritten(service, wanted)) return;
      const next = newJob(wanted);
      this.jobs.set(key, next);
      if (this.isContested(key, next, service)) return;
    } else {
      const isOther = !sameWish(job.wanted, wanted);
      job.wanted = wanted;
      const mayWait = !job.isOutdated && !(job.isContested && isOther);
      if (job.running !== undefined || (job.timer !== undefined && mayWait)) return;
      job.timer?.cancel();
      job.timer = undefined;
    }
    this.enqueue(key);
  }

  /** This node does not advertise it any more: whatever is under way is abandoned. */
  drop(key: ServiceKey): void {
    this.contests.forget(key);
    const job = this.jobs.get(key);
    if (job === undefined) return;
    job.timer?.cancel();
    job.running?.abort();
    this.jobs.delete(key);
    this.queue.delete(key);
    this.slowQueue.delete(key);
  }

  close(): void {
    for (const key of [...this.jobs.keys()]) this.drop(key);
  }

  counts(): StatusWriterCounts {
    return {
      written: this.written,
      failed: this.failed,
      waiting: this.jobs.size,
      inFlight: this.places.taken,
    };
  }

  private enqueue(key: ServiceKey): void {
    const isSlow = this.jobs.get(key)?.isSlow === true;
    (isSlow ? this.slowQueue : this.queue).add(key);
    this.pump();
  }

  private pump(): void {
    for (const queue of [this.queue, this.slowQueue]) {
      for (const key of queue) {
        if (!this.places.isFree(queue === this.slowQueue)) break;
        queue.delete(key);
        const job = this.jobs.get(key);
        if (job !== undefined) void this.run(key, job);
      }
    }
  }

  private async run(key: ServiceKey, job: Job): Promise<void> {
    const { wanted } = job;
    const service = this.parts.read(key);
    if (service === undefined || isWritten(service, wanted)) {
      this.jobs.delete(key);
      return;
    }
    const running = new AbortController();
    job.running = running;
    const startedAt = this.parts.clock.now();
    const end = this.places.take(job.isSlow, (isOneTooMany) => {
      job.isSlow = true;
      if (isOneTooMany) running.abort(new Error(`no answer in ${hangingMs} ms`));
      this.pump();
    });
    try {
      await this.parts.write(service, wanted, running.signal);
      this.written++;
      if (this.jobs.get(key) !== job) return;
      this.contests.wrote(key, textOfWish(wanted), service);
      this.succeeded(key, job, wanted);
    } catch (error) {
      job.isSlow = this.parts.clock.now() - startedAt >= hangingMs;
      const why: unknown = running.signal.aborted ? running.signal.reason : error;
      // Else it was dropped.
      if (this.jobs.get(key) === job) this.refused(key, job, why);
    } finally {
      end();
      job.running = undefined;
      this.pump();
    }
  }

  private succeeded(key: ServiceKey, job: Job, wrote: WantedStatus): void {
    if (job.logged !== undefined) this.parts.log.info('status of a Service written', { service: key });
    this.jobs.delete(key);
    // A later wish; on the version that was just replaced it would be refused, so it waits a little.
    if (job.wanted !== wrote && !sameWish(job.wanted, wrote)) {
      const next = { ...newJob(job.wanted), attempts: 1, isOutdated: true };
      this.jobs.set(key, next);
      this.wait(key, next, retry.baseMs);
    }
  }

  private refused(key: ServiceKey, job: Job, error: unknown): void {
    this.failed++;
    const kind = kindOf(error);
    if (kind === 'not-found') {
      this.jobs.delete(key);
      this.contests.forget(key);
      return;
    }
    job.attempts++;
    job.isOutdated = kind === 'conflict';
    const delay = backoffMs(job.attempts, retry, this.parts.random);
    const text = messageOf(error);
    if (!job.isOutdated && text !== job.logged) {
      job.logged = text;
      this.parts.log.warn(`status of a Service not written, retrying in ${Math.ceil(delay)} ms`, {
        service: key,
        error: text,
      });
    }
    this.wait(key, job, delay);
  }

  /** Somebody else has written over it, not for the first time: it waits. */
  private isContested(key: ServiceKey, job: Job, service: Service): boolean {
    const { ms, isNew } = this.contests.pauseBefore(key, textOfWish(job.wanted), service);
    if (isNew)
      this.parts.log.warn(
        'somebody else writes the status of a Service, too: this node goes on, less and less often',
        { service: key, ...(job.wanted.vipHost === undefined ? {} : { vipHost: vipHostOf(service) }) },
      );
    if (ms === 0) return false;
    job.isContested = true;
    this.wait(key, job, ms);
    return true;
  }

  private wait(key: ServiceKey, job: Job, ms: number): void {
    job.timer = this.parts.clock.after('service-status', ms, () => {
      job.timer = undefined;
      this.enqueue(key);
    });
  }
}

function newJob(wanted: WantedStatus): Job {
  return {
    wanted,
    attempts: 0,
    timer: undefined,
    running: undefined,
    isOutdated: false,
    isContested: false,
    isSlow: false,
    logged: undefined,
  };
}

/** One entry for each VIP, in order, with the ports of the Service. */
export function ingressOf(service: Service, vips: readonly string[]): readonly Ingress[] {
  const ports = (service.spec?.ports ?? []).map(({ port, protocol = 'TCP' }) => ({ port, protocol }));
  return vips.map((ip) => ({ ip, ports }));
}

export function isWritten(service: Service, { ingress, vipHost }: WantedStatus): boolean {
  if (vipHost !== undefined && vipHostOf(service) !== vipHost) return false;
  return textOf(service.status?.loadBalancer?.ingress ?? []) === textOf(ingress);
}

function sameWish(a: WantedStatus, b: WantedStatus): boolean {
  return textOfWish(a) === textOfWish(b);
}

function textOfWish({ ingress, vipHost = '' }: WantedStatus): string {
  return `${vipHost} ${textOf(ingress)}`;
}

/** What is compared: address, name and ports, in order; `ipMode` is the server's own. */
function textOf(ingress: readonly Ingress[]): string {
  return JSON.stringify(
    ingress.map(({ ip, hostname, ports }) => [
      ip,
      hostname,
      (ports ?? []).map(({ port, protocol }) => `${port}/${protocol}`),
    ]),
  );
}

function kindOf(error: unknown): KubeErrorKind | undefined {
  const kind = error instanceof Error && 'kind' in error ? error.kind : undefined;
  return typeof kind === 'string' ? (kind as KubeErrorKind) : undefined;
}
