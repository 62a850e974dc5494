import type { Clock, Random } from '../lib/clock.ts';
import { DecodeError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Credentials } from './credentials.ts';
import type { KubeError } from './errors.ts';
import { fromFailure, garbage } from './errors.ts';
import type { Answer } from './exchange.ts';
import { Lists } from './lists.ts';
import { LoopbackFallback } from './lookup.ts';
import type { SystemLookup } from './lookup.ts';
import { SessionPool, type ChooseProxy } from './pool.ts';
import { collectionPath, objectPath, queryString } from './resources.ts';
import { formatServer } from './server-address.ts';
import type {
  CallOptions,
  KubeClient,
  KubeErrorKind,
  KubeObject,
  ListOptions,
  ListPage,
  ListPageOptions,
  ListWatcher,
  ObjectRef,
  PatchOptions,
  PatchType,
  Resource,
  WatchHandlers,
  WatchOptions,
} from './types.ts';
import { Turns } from './turns.ts';
import { LineFramer, decodeObject, decodeWatchEvent } from './watch-frames.ts';
import { Wire, answerError, describe } from './wire.ts';
import type { WireRequest } from './wire.ts';

export interface ClientComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly credentials: Credentials;
  /** Absent: every server is reached directly. */
  readonly proxy?: ChooseProxy;
  /** For tests: how names are resolved. */
  readonly lookup?: SystemLookup;
}

export interface ClientOptions {
  readonly userAgent?: string;
  /** Milliseconds between PINGs on every connection; two unanswered ones end it. Default 5000. */
  readonly pingMs?: number;
  /** Milliseconds for TCP and TLS together. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** Default for calls that name none. Default 10 000. */
  readonly timeoutMs?: number;
  /** Objects asked for at once in a list. Default 500. */
  readonly pageSize?: number;
  /** Largest answer accepted, bytes; a page of a list that is larger is asked for in smaller ones. Default 16 MiB. */
  readonly maxBodyBytes?: number;
}

/** What the client went through so far, for metrics and the status document. */
export interface ClientStatus {
  readonly server: string;
  /** Requests sent, watches included. */
  readonly requests: number;
  /** Requests that failed, by kind of error. */
  readonly failures: Readonly<Partial<Record<KubeErrorKind, number>>>;
}

const contentTypes: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml', // JSON is YAML
};

const DEFAULT_FIELD_MANAGER = 'kube-vip';
/** A server ends a watch at its timeout; what is still open so long after it hears nothing any more. */
const WATCH_GRACE_MS = 2000;

/** The API server over HTTP/2: one connection for calls, one for watches, both kept alive by PINGs. */
export class Http2KubeClient implements KubeClient, ListWatcher {
  private readonly credentials: Credentials;
  private readonly options: Required<ClientOptions>;
  private readonly wire: Wire;
  private readonly calls: SessionPool;
  private readonly watches: SessionPool;
  private readonly lists: Lists;
  private readonly turns: Turns;
  private readonly failures = new Map<KubeErrorKind, number>();
  private requests = 0;

  constructor(components: ClientComponents, options: ClientOptions = {}) {
    this.turns = new Turns(components.clock);
    this.credentials = components.credentials;
    this.options = {
      userAgent: 'kube-vip',
      pingMs: 5000,
      connectTimeoutMs: 5000,
      timeoutMs: 10_000,
      pageSize: 500,
      maxBodyBytes: 16 << 20,
      ...options,
    };
    this.wire = new Wire(components, this.options);
    const fallback = new LoopbackFallback(
      components.clock,
      (host) => {
        components.log.warn(
          'the name of the API server does not resolve, connecting to this machine instead',
          { server: host },
        );
      },
      components.lookup,
    );
    const shared = { ...components, fallback, spoken: { isHttp1: false, isReported: false } };
    this.calls = new SessionPool(shared, this.options);
    this.watches = new SessionPool(shared, this.options);
    const get = async (
      path: string,
      options: CallOptions,
      decode: (value: unknown) => ListPage<KubeObject>,
    ) => this.decode(await this.succeed({ method: 'GET', path }, options), decode);
    this.lists = new Lists(get, this.options.pageSize);
  }

  get server(): string {
    const known = this.credentials.known;
    return known === undefined ? this.credentials.origin : formatServer(known.server);
  }

  status(): ClientStatus {
    return { server: this.server, requests: this.requests, failures: Object.fromEntries(this.failures) };
  }

  async get<T extends KubeObject>(resource: Resource, ref: ObjectRef, options?: CallOptions): Promise<T> {
    return this.object(await this.succeed({ method: 'GET', path: objectPath(resource, ref) }, options));
  }

  list<T extends KubeObject>(
    resource: Resource,
    options: ListOptions = {},
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    return this.lists.all<T>(resource, options);
  }

  listPage<T extends KubeObject>(resource: Resource, options: ListPageOptions): Promise<ListPage<T>> {
    return this.lists.page<T>(resource, options);
  }

  async create<T extends KubeObject>(resource: Resource, object: T, options?: CallOptions): Promise<T> {
    if (resource.namespaced && (object.metadata.namespace ?? '') === '') {
      throw new TypeError(`${resource.kind} ${object.metadata.name ?? ''} needs a namespace`);
    }
    const path = collectionPath(resource, object.metadata.namespace);
    return this.object(await this.succeed(withJson({ method: 'POST', path }, object), options));
  }

  async update<T extends KubeObject>(
    resource: Resource,
    object: T,
    options: CallOptions & { readonly subresource?: 'status' } = {},
  ): Promise<T> {
    const path = objectPath(resource, refOf(object), options.subresource);
    return this.object(await this.succeed(withJson({ method: 'PUT', path }, object), options));
  }

  async patch<T extends KubeObject>(
    resource: Resource,
    ref: ObjectRef,
    type: PatchType,
    body: unknown,
    options: PatchOptions = {},
  ): Promise<T> {
    const query = queryString({
      fieldManager: options.fieldManager ?? (type === 'apply' ? DEFAULT_FIELD_MANAGER : undefined),
      force: type === 'apply' && options.force === true ? true : undefined,
    });
    const path = `${objectPath(resource, ref, options.subresource)}${query}`;
    const request = {
      method: 'PATCH' as const,
      path,
      contentType: contentTypes[type],
      body: JSON.stringify(body),
    };
    return this.object(await this.succeed(request, options));
  }

  async delete(resource: Resource, ref: ObjectRef, options?: CallOptions): Promise<void> {
    await this.succeed({ method: 'DELETE', path: objectPath(resource, ref) }, options);
  }

  async raw(
    path: string,
    options?: CallOptions,
  ): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await this.exchange({ method: 'GET', path }, options);
    return { status: answer.status, body: answer.body.toString('utf8') };
  }

  async watch(resource: Resource, options: WatchOptions, handlers: WatchHandlers): Promise<void> {
    const path = collectionPath(resource, options.namespace);
    const query = queryString({
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: options.resourceVersion,
      timeoutSeconds: options.timeoutSeconds,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    });
    const limits = {
      openMs: options.openTimeoutMs ?? this.options.timeoutMs,
      endMs: options.timeoutSeconds * 1000 + WATCH_GRACE_MS,
    };
    const framer = new LineFramer();
    let isOver = false;
    const tell = (line: Uint8Array): void => {
      // What is left when the stream has broken off comes again with the next watch.
      if (line.length > 0 && !isOver) handlers.event(decodeWatchEvent(line));
    };
    this.requests++;
    try {
      const answer = await this.wire.stream(this.watches, `${path}${query}`, limits, options.signal);
      handlers.opened?.();
      await answer.consume((bytes) => this.turns.each(framer.push(bytes), tell));
    } catch (error) {
      throw this.counted(asKubeError(error, `WATCH ${path}`));
    } finally {
      isOver = true;
    }
  }

  close(): void {
    this.calls.close();
    this.watches.close();
  }

  private async exchange(request: WireRequest, options: CallOptions = {}): Promise<Answer> {
    this.requests++;
    const timeoutMs = options.timeoutMs ?? this.options.timeoutMs;
    try {
      return await this.wire.call(this.calls, request, timeoutMs, options.signal);
    } catch (error) {
      throw this.counted(fromFailure(error, describe(request)));
    }
  }

  private async succeed(
    request: WireRequest,
    options?: CallOptions,
  ): Promise<Answer & { readonly path: string }> {
    const answer = await this.exchange(request, options);
    const path = describe(request);
    if (answer.status < 200 || answer.status > 299) throw this.counted(answerError(answer, path));
    return { ...answer, path };
  }

  private counted(error: KubeError): KubeError {
    this.failures.set(error.kind, (this.failures.get(error.kind) ?? 0) + 1);
    return error;
  }

  private object<T extends KubeObject>(answer: Answer & { readonly path: string }): T {
    return this.decode(answer, decodeObject) as T;
  }

  private decode<T>(answer: Answer & { readonly path: string }, decode: (value: unknown) => T): T {
    try {
      return decode(JSON.parse(answer.body.toString('utf8')));
    } catch (error) {
      throw this.counted(garbage(answer.path, error, answer.status));
    }
  }
}

/** Bytes that do not decode are the server's fault; anything else went wrong on the way. */
function asKubeError(error: unknown, path: string): KubeError {
  if (error instanceof DecodeError) return garbage(path, error);
  return fromFailure(error, path);
}

function withJson(request: Pick<WireRequest, 'method' | 'path'>, object: unknown): WireRequest {
  return { ...request, contentType: 'application/json', body: JSON.stringify(object) };
}

function refOf(object: KubeObject): ObjectRef {
  const { name, namespace } = object.metadata;
  if (name === undefined) throw new TypeError('the object has no name');
  return namespace === undefined ? { name } : { namespace, name };
}
