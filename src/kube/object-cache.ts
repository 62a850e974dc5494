import { keyOf } from './resources.ts';
import type { KubeObject, ReflectorListener } from './types.ts';

/**
 * The objects of one collection by key. Tells its listener the difference, also when a whole new
 * list replaces the content, so that a listener never has to compare by itself.
 */
export class ObjectCache<T extends KubeObject> {
  private readonly content = new Map<string, T>();
  private readonly versions = new Map<string, string>();
  private readonly map: (raw: KubeObject) => T;
  private readonly listener: ReflectorListener<T>;
  private readonly failed: (error: unknown, key: string) => void;

  constructor(
    map: (raw: KubeObject) => T,
    listener: ReflectorListener<T>,
    failed: (error: unknown, key: string) => void,
  ) {
    this.map = map;
    this.listener = listener;
    this.failed = failed;
  }

  get items(): ReadonlyMap<string, T> {
    return this.content;
  }

  /** A new list, object by object; what it has not brought when it is complete is gone. */
  list(): { put(object: KubeObject): void; complete(): void; readonly size: number } {
    const listed = new Set<string>();
    return {
      get size() {
        return listed.size;
      },
      put: (object) => {
        listed.add(keyOf(object.metadata));
        this.put(object);
      },
      complete: () => {
        for (const key of [...this.content.keys()]) if (!listed.has(key)) this.drop(key);
        this.tell('', () => this.listener.synced?.(this.content));
      },
    };
  }

  put(object: KubeObject): void {
    const key = keyOf(object.metadata);
    const version = object.metadata.resourceVersion ?? '';
    // A new list, or a watch that resumed a little early, brings what is already here.
    if (version !== '' && this.versions.get(key) === version) return;
    const before = this.content.get(key);
    let now: T;
    try {
      now = this.map(object);
    } catch (error) {
      // One object that nobody can read must not stop the watch of all others; what it was stays.
      this.failed(error, key);
      return;
    }
    this.content.set(key, now);
    this.versions.set(key, version);
    this.tell(key, () => this.listener.changed?.(key, now, before));
  }

  /** The versions known so far mean nothing any more: whatever comes next is a change. */
  distrust(): void {
    this.versions.clear();
  }

  remove(object: KubeObject): void {
    this.drop(keyOf(object.metadata));
  }

  private drop(key: string): void {
    const before = this.content.get(key);
    if (before === undefined) return;
    this.content.delete(key);
    this.versions.delete(key);
    this.tell(key, () => this.listener.removed?.(key, before));
  }

  /** A listener's mistake is the listener's: the cache stays in step with the server. */
  private tell(key: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.failed(error, key);
    }
  }
}
