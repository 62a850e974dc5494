import { collectionPath } from '../../kube/resources.ts';
import type { KubeObject, ObjectRef, Resource } from '../../kube/types.ts';
import { ApiFailure } from './failure.ts';
import type { Fault, FaultEffect, FaultMatch } from './faults.ts';
import { ApiHandler } from './handler.ts';
import type { RequestRecord } from './handler.ts';
import type { Json } from './json.ts';
import { startListener } from './listener.ts';
import type { ApiListener, ListenOptions } from './listener.ts';
import { RestRules } from './rest.ts';
import { parseRoute } from './route.ts';
import type { Route } from './route.ts';
import { ObjectStore } from './store.ts';

/**
 * An API server in memory that speaks real HTTP/2: any group, version and resource; optimistic
 * updates, patches, paged lists, watches with bookmarks; faults on demand. Serves tests, and the demo
 * as embedded API server. Several listeners can share one content, each with its own faults of the
 * network.
 */
export class FakeApi {
  private readonly store = new ObjectStore();
  private readonly handler = new ApiHandler(this.store);
  private readonly rules = new RestRules(this.store);
  private readonly listeners = new Set<ApiListener>();

  async listen(options: ListenOptions = {}): Promise<ApiListener> {
    const listener = await startListener((request, response) => {
      this.handler.handle(request, response);
    }, options);
    this.listeners.add(listener);
    return listener;
  }

  async close(): Promise<void> {
    await Promise.all([...this.listeners].map((listener) => listener.close()));
    this.listeners.clear();
  }

  /** The last requests, oldest first. */
  get requests(): readonly RequestRecord[] {
    return this.handler.records;
  }

  get openWatches(): number {
    return this.handler.feeds.size;
  }

  get revision(): number {
    return this.store.revision;
  }

  /** Breaks matching requests, `times` times or until cleared. */
  fail(match: FaultMatch, effect: FaultEffect, times?: number): Fault {
    return this.handler.faults.add(match, effect, times);
  }

  clearFaults(): void {
    this.handler.faults.clear();
  }

  /** From now on only these bearer tokens are let in; undefined lets everybody in. */
  allowTokens(tokens: readonly string[] | undefined): void {
    this.handler.tokens = tokens === undefined ? undefined : new Set(tokens);
  }

  /** Forgets all history: older watches and continue tokens get 410. */
  compact(): void {
    this.store.compact();
  }

  /** Sends a bookmark on every watch now. */
  bookmark(): void {
    this.handler.feeds.bookmark();
  }

  endWatches(): void {
    this.handler.feeds.endAll();
  }

  silenceWatches(): void {
    this.handler.feeds.silenceAll();
  }

  /** An ERROR event on every watch. */
  failWatches(status: number, reason: string): void {
    this.handler.feeds.failAll(new ApiFailure(status, reason, 'a fault of the fake API server'));
  }

  /** Bytes, whatever they are, on every watch. */
  sendOnWatches(bytes: string): void {
    this.handler.feeds.sendRaw(bytes);
  }

  /** GOAWAY on every HTTP/2 connection. */
  goaway(): void {
    for (const listener of this.listeners) listener.goaway();
  }

  closeSockets(): void {
    for (const listener of this.listeners) listener.closeSockets();
  }

  /** Reads the content past the wire; undefined when there is no such object. */
  peek(resource: Resource, ref: ObjectRef): KubeObject | undefined {
    const found = this.store.get(routeOf(resource, ref).collection, `${ref.namespace ?? ''}/${ref.name}`);
    return found as KubeObject | undefined;
  }

  /** Creates or replaces past the wire, as some other client would. */
  put(resource: Resource, object: KubeObject): KubeObject {
    const { name = '', namespace = '' } = object.metadata;
    const route = routeOf(resource, { namespace, name });
    const before = this.store.get(route.collection, `${namespace}/${name}`);
    const writer = { manager: 'other-client' };
    if (before === undefined)
      return this.rules.create(route, asJson(object), writer).object as unknown as KubeObject;
    const { resourceVersion } = (before as unknown as KubeObject).metadata;
    const current: Json = { ...object, metadata: { ...object.metadata, resourceVersion } };
    return this.rules.update(route, current, writer).object as unknown as KubeObject;
  }

  /** Deletes past the wire. */
  remove(resource: Resource, ref: ObjectRef): void {
    this.rules.delete(routeOf(resource, ref), {});
  }
}

function routeOf(resource: Resource, ref: ObjectRef): Route {
  const route = parseRoute(collectionPath(resource, ref.namespace === '' ? undefined : ref.namespace));
  if (route === undefined) throw new TypeError(`no route for ${resource.plural}`);
  return { ...route, name: ref.name };
}

function asJson(object: KubeObject): Json {
  return object as unknown as Json;
}
