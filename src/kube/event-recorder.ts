import { createHash } from 'node:crypto';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { KubeError } from './errors.ts';
import { EventPauses } from './event-pauses.ts';
import { formatTime } from './time.ts';
import { events } from './resources.ts';
import type { KubeClient, KubeErrorKind, KubeObject } from './types.ts';

/** The object an event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Cluster-scoped subjects have none; their events live in `default`. */
  readonly namespace?: string;
  readonly uid?: string;
}

export interface EventToRecord {
  readonly subject: EventSubject;
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorderOptions {
  /** `source.component`, e.g. `kube-vip`. */
  readonly component: string;
  /** `source.host`: the node. */
  readonly node: string;
}

export interface EventRecorderStatus {
  readonly written: number;
  /** Repeats that only raised a count. */
  readonly folded: number;
  /** Not written: queue full, a repeat over the rate, or refused by the server. */
  readonly dropped: number;
  readonly queued: number;
}

/** A core/v1 Event, the fields we write. */
export interface CoreEvent extends KubeObject {
  readonly involvedObject: EventSubject;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly source: { readonly component: string; readonly host: string };
  readonly reportingComponent: string;
  readonly reportingInstance: string;
}

interface Folded {
  readonly event: EventToRecord;
  readonly name: string;
  readonly firstAt: number;
  lastAt: number;
  count: number;
  /** The count the server knows; 0 before the event was created. */
  writtenCount: number;
  queued: boolean;
  /** Tries in a row that brought nothing, and when the next one is due. */
  failures: number;
  notBefore: number;
  /** Written by another process, or by this one in an earlier life: its count is not ours to set. */
  isShared: boolean;
}

const MAX_QUEUE = 100;
const MAX_REMEMBERED = 256;
const BURST = 25;
/** One more event every 5 s on average once the burst is used up. */
const REFILL_MS = 5000;
/** An API server that is restarted or has too much to do is asked again for some four minutes. */
const RETRY = { baseMs: 5000, maxMs: 60_000 };
const MAX_TRIES = 8;
const passing: ReadonlySet<KubeErrorKind> = new Set(['unreachable', 'timeout', 'server', 'throttled']);
const MAX_MESSAGE = 1024;

/**
 * Writes core/v1 Events in the background. Its caller never waits, and it never throws: what is over the rate waits
 * its turn, what the server could not take now is tried again behind the others, and what it will not have is dropped and counted. The same event again within memory raises the count of the first one; the same from
 * another node, or from an earlier life of this one, is the same Event too.
 */
export class EventRecorder {
  private readonly components: {
    readonly client: KubeClient;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Logger;
  };
  private readonly options: EventRecorderOptions;
  private readonly remembered = new Map<string, Folded>();
  private readonly queue: Folded[] = [];
  private tokens = BURST;
  private refilledAt: number;
  private readonly pauses: EventPauses;
  private working = false;
  private timer: Timer | undefined;
  private written = 0;
  private folded = 0;
  private dropped = 0;

  constructor(components: EventRecorder['components'], options: EventRecorderOptions) {
    this.components = components;
    this.options = options;
    this.refilledAt = components.clock.now();
    this.pauses = new EventPauses(components.clock);
  }

  record(event: EventToRecord): void {
    const entry = this.fold(event);
    if (entry.queued) return;
    // A repeat that is not written is counted all the same, and takes no place of what nobody has read yet.
    const isRepeat = entry.writtenCount > 0;
    if (this.queue.length >= MAX_QUEUE || (isRepeat && !this.hasToken())) {
      this.dropped++;
      return;
    }
    this.enqueue(entry);
    if (!this.working) void this.work();
  }

  status(): EventRecorderStatus {
    const { written, folded, dropped } = this;
    return { written, folded, dropped, queued: this.queue.length };
  }

  private enqueue(entry: Folded): void {
    entry.queued = true;
    this.queue.push(entry);
  }

  private fold(event: EventToRecord): Folded {
    const { subject, type, reason } = event;
    const message = event.message.slice(0, MAX_MESSAGE);
    const key = JSON.stringify([
      subject.kind,
      subject.namespace,
      subject.name,
      subject.uid,
      type,
      reason,
      message,
    ]);
    const now = this.components.clock.wall();
    const known = this.remembered.get(key);
    if (known !== undefined) {
      this.remembered.delete(key); // to the young end
      this.remembered.set(key, known);
      known.count++;
      known.lastAt = now;
      this.folded++;
      return known;
    }
    // By content: what many nodes see, or one after each restart, is one Event.
    const suffix = createHash('sha256').update(`${this.options.component} ${key}`).digest('hex').slice(0, 16);
    const fresh: Folded = {
      event: { ...event, message },
      name: `${subject.name}.${suffix}`,
      firstAt: now,
      lastAt: now,
      count: 1,
      writtenCount: 0,
      queued: false,
      failures: 0,
      notBefore: -Infinity,
      isShared: false,
    };
    this.remembered.set(key, fresh);
    for (const oldest of this.remembered.keys()) {
      if (this.remembered.size <= MAX_REMEMBERED) break;
      this.remembered.delete(oldest);
    }
    return fresh;
  }

  private hasToken(): boolean {
    const now = this.components.clock.now();
    const gained = Math.floor((now - this.refilledAt) / REFILL_MS);
    this.tokens = Math.min(BURST, this.tokens + gained);
    this.refilledAt += gained * REFILL_MS;
    return this.tokens > 0;
  }

  private async work(): Promise<void> {
    this.working = true;
    this.timer?.cancel();
    this.timer = undefined;
    while (this.hasToken()) {
      const entry = this.takeDue();
      if (entry === undefined) break;
      await this.write(entry);
    }
    this.working = false;
    if (this.queue.length > 0) this.wait();
  }

  private takeDue(): Folded | undefined {
    const now = this.components.clock.now();
    const at = this.queue.findIndex(({ notBefore }) => notBefore <= now);
    if (at < 0) return undefined;
    const [entry] = this.queue.splice(at, 1);
    if (entry !== undefined) entry.queued = false;
    return entry;
  }

  private wait(): void {
    const { clock } = this.components;
    const token = this.hasToken() ? -Infinity : this.refilledAt + REFILL_MS;
    const due = Math.min(...this.queue.map(({ notBefore }) => notBefore));
    this.timer = clock.after('events', Math.max(token, due) - clock.now(), () => void this.work());
  }

  private async write(entry: Folded): Promise<void> {
    if (this.pauses.isPaused(namespaceOf(entry.event.subject))) {
      this.dropped++;
      return;
    }
    this.tokens--;
    const count = entry.count;
    try {
      if (entry.writtenCount === 0) await this.create(entry);
      else await this.raiseCount(entry);
      entry.writtenCount = count;
      entry.failures = 0;
      this.written++;
      this.pauses.written();
    } catch (error) {
      if (!this.comesAgain(entry, error)) this.refused(entry, error);
    }
  }

  /** Not its fault, and the server may take it later: nobody else has to wait for that. */
  private comesAgain(entry: Folded, error: unknown): boolean {
    if (!(error instanceof KubeError) || !passing.has(error.kind)) return false;
    entry.failures++;
    if (entry.failures >= MAX_TRIES || this.queue.length >= MAX_QUEUE) return false;
    const { clock, random } = this.components;
    entry.notBefore = clock.now() + backoffMs(entry.failures, RETRY, random);
    if (!entry.queued) this.enqueue(entry);
    return true;
  }

  private async create(entry: Folded): Promise<void> {
    try {
      await this.components.client.create(events, this.eventOf(entry));
      entry.isShared = false;
    } catch (error) {
      if (!(error instanceof KubeError) || error.kind !== 'already-exists') throw error;
      entry.isShared = true;
      await this.patch(entry);
    }
  }

  private async patch(entry: Folded): Promise<void> {
    const ref = { namespace: namespaceOf(entry.event.subject), name: entry.name };
    const lastTimestamp = formatTime(entry.lastAt);
    const change = entry.isShared ? { lastTimestamp } : { lastTimestamp, count: entry.count };
    await this.components.client.patch(events, ref, 'merge', change);
  }

  /** The server deletes events after an hour: then this one begins anew. */
  private async raiseCount(entry: Folded): Promise<void> {
    try {
      await this.patch(entry);
    } catch (error) {
      if (!(error instanceof KubeError) || error.kind !== 'not-found') throw error;
      await this.create(entry);
    }
  }

  private refused(entry: Folded, error: unknown): void {
    this.dropped++;
    entry.failures = 0;
    entry.notBefore = -Infinity;
    if (error instanceof KubeError && error.kind === 'forbidden') {
      const namespace = namespaceOf(entry.event.subject);
      const message = this.pauses.refused(namespace)
        ? 'events may not be written (missing permission: create and patch events)'
        : 'events may not be written in this namespace';
      this.components.log.warn(message, { namespace, error: error.message });
      return;
    }
    this.components.log.debug('an event was not written', { error: messageOf(error) });
  }

  private eventOf(entry: Folded): CoreEvent {
    const { subject, type, reason, message } = entry.event;
    const { component, node } = this.options;
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: entry.name, namespace: namespaceOf(subject) },
      involvedObject: subject,
      type,
      reason,
      message,
      count: entry.count,
      firstTimestamp: formatTime(entry.firstAt),
      lastTimestamp: formatTime(entry.lastAt),
      source: { component, host: node },
      reportingComponent: component,
      reportingInstance: node,
    };
  }
}

function namespaceOf(subject: EventSubject): string {
  return subject.namespace ?? 'default';
}
