import { StoreError } from '../election/store.ts';
import type { LeaseChange, LeaseRecord, LeaseStore, StoredLease } from '../election/store.ts';

type Subscriber = (change: LeaseChange) => void;

/** One election record in memory, with the rules of an API server: versions, conflicts, watch events in order. */
export class MemoryLease {
  private lease: StoredLease | undefined;
  private revision = 0;
  private readonly subscribers = new Set<Subscriber>();

  get current(): StoredLease | undefined {
    return this.lease;
  }

  read(): StoredLease {
    if (this.lease === undefined) throw new StoreError('not-found', 'no such lease');
    return this.lease;
  }

  create(record: LeaseRecord, annotations: Readonly<Record<string, string>> = {}): StoredLease {
    if (this.lease !== undefined) throw new StoreError('already-exists', 'the lease exists');
    return this.put(record, annotations);
  }

  update(
    version: string,
    record: LeaseRecord,
    annotations: Readonly<Record<string, string>> = {},
  ): StoredLease {
    const current = this.read();
    if (current.version !== version) throw new StoreError('conflict', 'the lease was changed meanwhile');
    return this.put(record, { ...current.annotations, ...annotations });
  }

  /** Writes without asking for a version: an operator's hand, or a thief. */
  put(record: LeaseRecord, annotations: Readonly<Record<string, string>> = {}): StoredLease {
    const lease = { record, annotations, version: String(++this.revision) };
    this.lease = lease;
    this.publish({ kind: 'present', lease });
    return lease;
  }

  delete(): void {
    if (this.lease === undefined) return;
    this.lease = undefined;
    this.publish({ kind: 'absent', version: String(++this.revision) });
  }

  /** Takes a copy; what is returned puts it back, versions included, and tells nobody: etcd is restored. */
  backup(): () => void {
    const { lease, revision } = this;
    return () => {
      this.lease = lease;
      this.revision = revision;
    };
  }

  /** Changes from now on, each told before the write that made it returns. */
  subscribe(subscriber: Subscriber): () => void {
    this.subscribers.add(subscriber);
    return () => {
      this.subscribers.delete(subscriber);
    };
  }

  private publish(change: LeaseChange): void {
    for (const subscriber of this.subscribers) subscriber(change);
  }
}

export interface MemoryLeaseStoreOptions {
  readonly name?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Runs before each call reaches the record: throw to refuse it, await to delay it. */
  readonly before?: (operation: 'read' | 'create' | 'update', signal: AbortSignal) => Promise<void> | void;
  readonly watch?: boolean;
}

/** A candidate's view of a record in memory. */
export function memoryLeaseStore(lease: MemoryLease, options: MemoryLeaseStoreOptions = {}): LeaseStore {
  const { name = 'memory/lease', annotations = {}, before } = options;
  const store: LeaseStore = {
    name,
    async read({ signal }) {
      await before?.('read', signal);
      return lease.read();
    },
    async create(record, { signal }) {
      await before?.('create', signal);
      return lease.create(record, annotations);
    },
    async update(base, record, { signal }) {
      await before?.('update', signal);
      return lease.update(base.version, record, annotations);
    },
  };
  if (options.watch === false) return store;
  return {
    ...store,
    watch: (onChange, signal) => {
      const unsubscribe = lease.subscribe(onChange);
      signal.addEventListener('abort', unsubscribe, { once: true });
    },
  };
}
