import { isAborted } from '../lib/abort.ts';
import type { Clock, Random } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { KubeError, fromFailure } from './errors.ts';
import { ObjectCache } from './object-cache.ts';
import { initialReflectorState, reflectorStep } from './reflector-machine.ts';
import type { ReflectorOutcome, ReflectorState } from './reflector-machine.ts';
import { resourceName } from './resources.ts';
import { isOlderVersion } from './resource-version.ts';
import { TroubleLog } from './trouble-log.ts';
import { Turns } from './turns.ts';
import type {
  KubeObject,
  ListPage,
  ListWatcher,
  RefreshableReflector,
  ReflectorListener,
  ReflectorStatus,
  Resource,
  WatchEvent,
} from './types.ts';

export interface ReflectorComponents {
  readonly client: ListWatcher;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly resource: Resource;
  /** All namespaces when not given. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Keeps only the fields somebody reads, to save memory. Must keep metadata.name and namespace. */
  readonly map?: (raw: KubeObject) => T;
  readonly listener?: ReflectorListener<T>;
  /**
   * Seconds, give or take a fifth, after which the server ends a watch and a new one continues from there: the
   * longest that a watch which has gone deaf stays unnoticed. Default 10.
   */
  readonly watchSeconds?: number;
  /** Objects a page of the list holds at most. Default: the client's. */
  readonly pageSize?: number;
}

/** A full page from a busy server takes longer than a lease. */
const LIST_TIMEOUT_MS = 30_000;
/**
 * A quiet collection and a watch that hears nothing look the same, and bookmarks come once a minute only. The
 * end of a watch is the one sign of life that a server owes us when we want it; a new watch costs it one request.
 */
const WATCH_SECONDS = 10;
const WATCH_SPREAD = 0.2;
/** A watch that begins with an older copy than this is a short one. */
const PROOF_DUE_MS = 3000;
const PROOF_SECONDS = 2;
/** A connection on which a watch does not open is given up soon: what happens meanwhile is not seen. */
const OPEN_TIMEOUT_MS = 5000;
/** Pages in a row that bring nothing that an earlier one has not brought: such a list never ends. */
const MAX_IDLE_PAGES = 3;
const UNHANDLED_MS = 1000;

/** The one object called `name`. */
export function nameSelector(name: string): string {
  return `metadata.name=${name}`;
}

/** Keeps a copy of a collection in step with the API server, for as long as it runs. */
export function createReflector<T extends KubeObject>(
  components: ReflectorComponents,
  options: ReflectorOptions<T>,
): RefreshableReflector<T> {
  return new ListWatchReflector(components, options);
}

class ListWatchReflector<T extends KubeObject> implements RefreshableReflector<T> {
  private readonly components: ReflectorComponents;
  private readonly options: ReflectorOptions<T>;
  private readonly cache: ObjectCache<T>;
  private readonly trouble: TroubleLog;
  private readonly turns: Turns;
  private readonly name: string;
  private state: ReflectorState = initialReflectorState;
  private lists = 0;
  private isListing = false;
  /** The server was away: its history may be an older one since. */
  private isUnsure = false;
  private lastHeard: number;
  private provenAt: number | undefined;
  /** Aborted by a refresh, and by the end. */
  private round = new AbortController();
  private lastError: string | undefined;
  private untold = 0;
  private toldAt = -Infinity;

  constructor(components: ReflectorComponents, options: ReflectorOptions<T>) {
    this.components = components;
    this.options = options;
    this.name = resourceName(options.resource);
    this.lastHeard = components.clock.now();
    this.trouble = new TroubleLog(components, this.name);
    this.turns = new Turns(components.clock);
    const map = options.map ?? ((raw: KubeObject) => raw as T);
    this.cache = new ObjectCache(map, options.listener ?? {}, (error, key) => {
      this.unhandled(error, key);
    });
  }

  get items(): ReadonlyMap<string, T> {
    return this.cache.items;
  }

  status(): ReflectorStatus {
    return {
      resource: this.name,
      synced: this.lists > 0,
      items: this.cache.items.size,
      lastHeard: this.lastHeard,
      provenAt: this.provenAt,
      lastError: this.lastError,
      relists: Math.max(0, this.lists - 1),
    };
  }

  refresh(): void {
    if (!this.isListing) this.round.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    const end = (): void => {
      this.round.abort();
    };
    signal.addEventListener('abort', end, { once: true });
    while (!isAborted(signal)) {
      if (this.round.signal.aborted) this.startOver();
      const round = this.round.signal;
      const { outcome, error } = await this.attempt(round);
      if (isAborted(round)) continue;
      const { state, waitMs, reason } = reflectorStep(this.state, outcome, this.components.random);
      this.state = state;
      if (error !== undefined) {
        this.isUnsure = true;
        this.lastError = error.message;
        this.trouble.failed(error, reason, waitMs);
      }
      if (waitMs > 0) await this.components.clock.sleep(`kube-reflector ${this.name}`, waitMs, round);
    }
    signal.removeEventListener('abort', end);
  }

  private startOver(): void {
    this.round = new AbortController();
    this.state = { ...this.state, next: 'list', resourceVersion: '' };
  }

  private attempt(signal: AbortSignal): Promise<{ outcome: ReflectorOutcome; error?: KubeError }> {
    return this.state.next === 'list' ? this.listAll(signal) : this.watchOnce(signal);
  }

  /** Each page is handled before the next is asked for: there is never more of the list in memory. */
  private async listAll(signal: AbortSignal): Promise<{ outcome: ReflectorOutcome; error?: KubeError }> {
    const list = this.cache.list();
    this.isUnsure = false;
    const asked = this.components.clock.now();
    const put = (object: KubeObject): void => {
      if (!signal.aborted) list.put(object);
    };
    this.isListing = true;
    try {
      for (let page: ListPage<KubeObject> | undefined, idle = 0; ;) {
        const before = list.size;
        page = await this.page(page?.continueToken, signal);
        await this.turns.each(page.items, put);
        idle = list.size > before ? 0 : idle + 1;
        if (idle > MAX_IDLE_PAGES) throw this.endless();
        const { resourceVersion } = page;
        if (isAborted(signal)) return { outcome: { type: 'listed', resourceVersion } };
        this.heard();
        if (page.continueToken !== undefined) continue;
        this.lists++;
        this.isListing = false;
        this.proven(asked);
        list.complete();
        this.recovered();
        return { outcome: { type: 'listed', resourceVersion } };
      }
    } catch (thrown) {
      const error = fromFailure(thrown, `LIST ${this.name}`);
      return { outcome: { type: 'list-failed', kind: error.kind, retryAfterMs: error.retryAfterMs }, error };
    } finally {
      this.isListing = false;
    }
  }

  private endless(): KubeError {
    const message = `the list does not end: ${MAX_IDLE_PAGES} pages in a row brought nothing new`;
    return new KubeError({ kind: 'garbage', path: `LIST ${this.name}`, message });
  }

  /** Once a second: it may be every object, or every event. */
  private unhandled(error: unknown, key: string): void {
    const { clock, log } = this.components;
    this.untold++;
    if (clock.now() < this.toldAt + UNHANDLED_MS) return;
    this.toldAt = clock.now();
    const object = key === '' ? undefined : key;
    const fields = { resource: this.name, object, times: this.untold, error: messageOf(error) };
    log.error('what the API server told could not be handled', fields);
    this.untold = 0;
  }

  private page(continueToken: string | undefined, signal: AbortSignal): Promise<ListPage<KubeObject>> {
    return this.components.client.listPage(this.options.resource, {
      ...this.selection(),
      ...(this.options.pageSize === undefined ? {} : { limit: this.options.pageSize }),
      ...(continueToken === undefined ? {} : { continueToken }),
      timeoutMs: LIST_TIMEOUT_MS,
      signal,
    });
  }

  private async watchOnce(signal: AbortSignal): Promise<{ outcome: ReflectorOutcome; error?: KubeError }> {
    const { clock, client } = this.components;
    const life = { resourceVersion: this.state.resourceVersion, heard: 0 };
    const opened = clock.now();
    const timeoutSeconds = this.watchSeconds();
    const outcome = () => ({ type: 'watch-ended', ...life, livedMs: clock.now() - opened }) as const;
    try {
      if (this.isUnsure) await this.checkHistory(life.resourceVersion, signal);
      await client.watch(
        this.options.resource,
        {
          ...this.selection(),
          resourceVersion: life.resourceVersion,
          timeoutSeconds,
          openTimeoutMs: OPEN_TIMEOUT_MS,
          signal,
        },
        {
          opened: () => {
            this.heard();
            this.recovered();
          },
          event: (event) => {
            if (signal.aborted) return;
            life.heard++;
            life.resourceVersion = this.apply(event) || life.resourceVersion;
          },
        },
      );
      this.ended(opened, timeoutSeconds * 1000);
      return { outcome: outcome() };
    } catch (thrown) {
      const error = fromFailure(thrown, `WATCH ${this.name}`);
      const { kind, retryAfterMs } = error;
      return { outcome: { ...outcome(), type: 'watch-failed', kind, retryAfterMs }, error };
    }
  }

  /**
   * After etcd was restored from an older copy, a server says nothing on a watch until its versions have reached the
   * one asked for, and nothing of this is an error. Only what it says of its newest version tells.
   */
  private async checkHistory(known: string, signal: AbortSignal): Promise<void> {
    const { client } = this.components;
    const options = { ...this.selection(), limit: 1, timeoutMs: OPEN_TIMEOUT_MS, signal };
    const { resourceVersion } = await client.listPage(this.options.resource, options);
    if (isOlderVersion(resourceVersion, known)) {
      // Versions that are given a second time mean something else.
      this.cache.distrust();
      const message = 'the history of the API server went back, as after a restore: listing again';
      this.components.log.warn(message, { resource: this.name, known, now: resourceVersion });
      throw new KubeError({ kind: 'gone', path: `LIST ${this.name}`, message });
    }
    this.isUnsure = false;
  }

  /**
   * A server that ends a watch in order has told all that happened before. When it did is not when we read it: this
   * process may have been paused. At its time it cannot have been earlier than asked for; before that, nobody knows.
   */
  private ended(opened: number, timeoutMs: number): void {
    this.proven(this.components.clock.now() >= opened + timeoutMs ? opened + timeoutMs : opened);
  }

  private proven(at: number): void {
    this.provenAt = Math.max(this.provenAt ?? at, at);
  }

  /** Applies an event; returns the version the watch has reached. */
  private apply(event: WatchEvent): string {
    this.heard();
    if (event.type === 'BOOKMARK') return event.resourceVersion;
    if (event.type === 'DELETED') this.cache.remove(event.object);
    else this.cache.put(event.object);
    return event.object.metadata.resourceVersion ?? '';
  }

  /** A copy that was last proven complete before an interruption, or a long list, is proven so again soon. */
  private isDue(): boolean {
    return this.components.clock.now() - (this.provenAt ?? 0) > PROOF_DUE_MS;
  }

  /** Spread out, so that watches which began together do not all return at once. */
  private watchSeconds(): number {
    const { watchSeconds = WATCH_SECONDS } = this.options;
    if (this.isDue()) return Math.min(PROOF_SECONDS, watchSeconds);
    return Math.max(1, Math.round(watchSeconds * (1 + WATCH_SPREAD * (2 * this.components.random() - 1))));
  }

  private heard(): void {
    this.lastHeard = this.components.clock.now();
  }

  private recovered(): void {
    this.lastError = undefined;
    this.trouble.recovered();
  }

  private selection(): { namespace?: string; labelSelector?: string; fieldSelector?: string } {
    const { namespace, labelSelector, fieldSelector } = this.options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }
}
