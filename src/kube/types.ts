/** The API server as the rest of the program sees it. Wire shapes are plain JSON; only used fields are typed. */

export interface ObjectMeta {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** A collection in the API. `group` is '' for the core group. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface ObjectRef {
  readonly namespace?: string;
  readonly name: string;
}

/** metav1.Status reasons we act on; anything else is passed through as text. */
export type KubeErrorKind =
  | 'not-found' // 404
  | 'conflict' // 409 Conflict: read again
  | 'already-exists' // 409 AlreadyExists
  | 'gone' // 410, or a watch ERROR with code 410: list again
  | 'unauthorized' // 401
  | 'forbidden' // 403
  | 'invalid' // 400, 422
  | 'throttled' // 429
  | 'server' // 5xx
  | 'unreachable' // no answer: refused, reset, DNS, TLS
  | 'timeout' // no answer in time
  | 'aborted' // the caller's own signal ended the call
  | 'garbage'; // an answer that is not what the API may send

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds; default 10 000. */
  readonly timeoutMs?: number;
}

export interface ListOptions extends CallOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export type PatchType = 'merge' | 'json' | 'apply';

export interface PatchOptions extends CallOptions {
  readonly subresource?: 'status';
  /** Server-side apply only. */
  readonly fieldManager?: string;
  readonly force?: boolean;
}

/** Every method throws KubeError (kind, status, reason, message); managedFields are dropped on the way in. */
export interface KubeClient {
  get<T extends KubeObject>(resource: Resource, ref: ObjectRef, options?: CallOptions): Promise<T>;
  /** All pages of a list. */
  list<T extends KubeObject>(
    resource: Resource,
    options?: ListOptions,
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }>;
  create<T extends KubeObject>(resource: Resource, object: T, options?: CallOptions): Promise<T>;
  /** Optimistic update: the object's resourceVersion must be current. */
  update<T extends KubeObject>(
    resource: Resource,
    object: T,
    options?: CallOptions & { readonly subresource?: 'status' },
  ): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource,
    ref: ObjectRef,
    type: PatchType,
    body: unknown,
    options?: PatchOptions,
  ): Promise<T>;
  delete(resource: Resource, ref: ObjectRef, options?: CallOptions): Promise<void>;
  /** GET of any path, e.g. /version or /readyz; the body as text. */
  raw(path: string, options?: CallOptions): Promise<{ readonly status: number; readonly body: string }>;
  /** Where calls go, for logs and the status page. */
  readonly server: string;
  close(): void;
}

export interface ListPageOptions extends ListOptions {
  readonly limit?: number;
  readonly continueToken?: string;
}

export interface ListPage<T extends KubeObject> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** For the next page; undefined on the last one. */
  readonly continueToken: string | undefined;
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface WatchOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion: string;
  /** Seconds after which the server ends the watch by itself; one that does not is KubeError `timeout`. */
  readonly timeoutSeconds: number;
  /** Milliseconds to wait for the watch to open. */
  readonly openTimeoutMs?: number;
  readonly signal: AbortSignal;
}

export interface WatchHandlers {
  /** The server accepted the watch. */
  opened?(): void;
  /** In order, synchronously: there is no queue. */
  event(event: WatchEvent): void;
}

/** What a reflector needs of a client. */
export interface ListWatcher {
  /** One page; a continue token that expired is KubeError `gone`. */
  listPage<T extends KubeObject>(resource: Resource, options: ListPageOptions): Promise<ListPage<T>>;
  /** Resolves when the server ends the watch in order; throws KubeError for every other end. */
  watch(resource: Resource, options: WatchOptions, handlers: WatchHandlers): Promise<void>;
}

/** The cached content of one collection, kept in step by list + watch. */
export interface ReflectorListener<T extends KubeObject> {
  /** After the first full list, and after every relist: the complete content. */
  synced?(items: ReadonlyMap<string, T>): void;
  changed?(key: string, now: T, before: T | undefined): void;
  removed?(key: string, before: T): void;
}

export interface ReflectorStatus {
  readonly resource: string;
  readonly synced: boolean;
  readonly items: number;
  /** Monotonic milliseconds of the last event, bookmark or list. */
  readonly lastHeard: number;
  /** Monotonic milliseconds: every change that was made before this moment is in the copy. Undefined before the first list. */
  readonly provenAt: number | undefined;
  readonly lastError: string | undefined;
  readonly relists: number;
}

export interface Reflector<T extends KubeObject> {
  /** `namespace/name`, or `name` for cluster-scoped objects. */
  readonly items: ReadonlyMap<string, T>;
  status(): ReflectorStatus;
  /** Runs until the signal aborts; never rejects: every error is counted, logged once and retried. */
  run(signal: AbortSignal): Promise<void>;
}

export interface RefreshableReflector<T extends KubeObject> extends Reflector<T> {
  /** Lists again now, whatever it is doing or waiting for, unless a list is under way. */
  refresh(): void;
}

export interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
  readonly strategy?: string;
  readonly preferredHolder?: string;
}

export interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

export interface NodeObject extends KubeObject {
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** What became of asking one API server. Undefined: it serves. A text: what is wrong with it. */
export type ProbeAnswer =
  | string
  | undefined
  // It serves the connections that it has, and must not get any more, for this reason.
  | { readonly keepsOnly: string };
