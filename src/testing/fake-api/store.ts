import { tooOld } from './failure.ts';
import type { Json } from './json.ts';
import type { Predicate } from './selectors.ts';

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One committed write. Objects are never changed in place. */
export interface Change {
  readonly revision: number;
  /** `group/version/plural` */
  readonly collection: string;
  readonly type: ChangeType;
  readonly object: Json;
  readonly before: Json | undefined;
}

export interface Watched {
  readonly type: ChangeType;
  readonly object: Json;
}

/** Changes kept for watches that resume; older ones are compacted away. */
const MAX_HISTORY = 5000;
/** Not 0: a client that watches from an invented version must be told that it is gone. */
const FIRST_REVISION = 1000;

/** What etcd is to the API server: objects by key, one counter for all of them, and their history. */
export class ObjectStore {
  private readonly collections = new Map<string, Map<string, Json>>();
  private readonly subscribers = new Set<(change: Change) => void>();
  private history: Change[] = [];
  private compactedTo = FIRST_REVISION;
  private current = FIRST_REVISION;

  get revision(): number {
    return this.current;
  }

  get compactedRevision(): number {
    return this.compactedTo;
  }

  get(collection: string, key: string): Json | undefined {
    return this.collections.get(collection)?.get(key);
  }

  /** Objects in the order of their keys. */
  list(collection: string): readonly (readonly [key: string, object: Json])[] {
    const objects = this.collections.get(collection) ?? new Map<string, Json>();
    return [...objects].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Commits a new state made by `make` from the revision it will have; undefined deletes. */
  write(collection: string, key: string, make: (revision: number) => Json, deletes = false): Json {
    const objects = this.collections.get(collection) ?? new Map<string, Json>();
    this.collections.set(collection, objects);
    const before = objects.get(key);
    const revision = ++this.current;
    const object = make(revision);
    if (deletes) objects.delete(key);
    else objects.set(key, object);
    const type = deletes ? 'DELETED' : before === undefined ? 'ADDED' : 'MODIFIED';
    const change: Change = { revision, collection, type, object, before };
    this.history.push(change);
    if (this.history.length > MAX_HISTORY * 1.2) this.compact(this.history.at(-MAX_HISTORY)?.revision);
    for (const subscriber of [...this.subscribers]) subscriber(change);
    return object;
  }

  /** Forgets history up to `revision` (default: everything). */
  compact(revision: number = this.current): void {
    this.compactedTo = Math.max(this.compactedTo, revision);
    this.history = this.history.filter((change) => change.revision > this.compactedTo);
  }

  /**
   * Reports what happened to matching objects after `since`, then what happens from now on.
   * Throws ApiFailure 410 when `since` is compacted. Returns how to stop.
   */
  watch(
    collection: string,
    since: number,
    matches: Predicate,
    report: (event: Watched, revision: number) => void,
  ): () => void {
    if (since < this.compactedTo) throw tooOld(since, this.compactedTo);
    const subscriber = (change: Change): void => {
      if (change.collection !== collection || change.revision <= since) return;
      const event = seenThrough(change, matches);
      if (event !== undefined) report(event, change.revision);
    };
    for (const change of this.history) subscriber(change);
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }
}

/** An object that enters or leaves a selection is ADDED or DELETED for those who watch that selection. */
function seenThrough(change: Change, matches: Predicate): Watched | undefined {
  const { type, object, before } = change;
  const did = before !== undefined && matches(before);
  const does = type !== 'DELETED' && matches(object);
  if (does) return { type: did ? 'MODIFIED' : 'ADDED', object };
  return did ? { type: 'DELETED', object } : undefined;
}
