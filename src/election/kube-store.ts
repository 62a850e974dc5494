import { messageOf } from '../lib/errors.ts';
import type { KubeClient, Lease, ObjectMeta, Resource } from '../kube/types.ts';
import { StoreError } from './store.ts';
import type { LeaseChange, LeaseRecord, LeaseStore, StoredLease, StoreErrorKind } from './store.ts';

const leaseResource: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

/**
 * Watches one Lease: calls back with the object on every change, with undefined when it is gone
 * (`version`: the resourceVersion of the deletion, where known), until the signal aborts. Never throws.
 */
export type WatchLease = (
  onChange: (lease: Lease | undefined, version?: string) => void,
  signal: AbortSignal,
) => void;

export interface KubeLeaseComponents {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  readonly watchLease?: WatchLease;
}

export interface KubeLeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Put on the Lease when it is created, and kept there by every later write. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * The election record as a coordination.k8s.io/v1 Lease, written field by field as client-go 0.36
 * writes it. Fields and annotations of others are carried along; metadata.uid too, which makes the
 * server answer an update of a deleted Lease with a conflict instead of creating it anew.
 */
export function createKubeLeaseStore(components: KubeLeaseComponents, options: KubeLeaseOptions): LeaseStore {
  const { client, watchLease } = components;
  const { namespace, name, annotations = {} } = options;
  const ref = { namespace, name };

  const store: LeaseStore = {
    name: `${namespace}/${name}`,
    read: (call) => attempt(() => client.get<Lease>(leaseResource, ref, call)),
    create: (record, call) =>
      attempt(() => client.create<Lease>(leaseResource, newLease(ref, annotations, record), call), 'create'),
    update: (base, record, call) =>
      attempt(() => client.update<Lease>(leaseResource, changedLease(base, ref, annotations, record), call)),
  };
  if (watchLease === undefined) return store;
  return {
    ...store,
    watch: (onChange, signal) => {
      watchLease((lease, version) => {
        const change = changeOf(lease, version);
        if (change !== undefined) onChange(change);
      }, signal);
    },
  };
}

function newLease(
  ref: { readonly namespace: string; readonly name: string },
  annotations: Readonly<Record<string, string>>,
  record: LeaseRecord,
): Lease {
  const metadata = Object.keys(annotations).length === 0 ? ref : { ...ref, annotations };
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: specOf(record) };
}

function changedLease(
  base: StoredLease,
  ref: ObjectMeta,
  annotations: Readonly<Record<string, string>>,
  record: LeaseRecord,
): Lease {
  const raw = isLease(base.raw) ? base.raw : { metadata: ref };
  const merged = { ...raw.metadata.annotations, ...annotations };
  const metadata = {
    ...raw.metadata,
    resourceVersion: base.version,
    ...(Object.keys(merged).length === 0 ? {} : { annotations: merged }),
  };
  return {
    ...raw,
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata,
    spec: { ...raw.spec, ...specOf(record) },
  };
}

/** leaselock.go, LeaderElectionRecordToLeaseSpec: a zero time is written as null. */
function specOf(record: LeaseRecord): NonNullable<Lease['spec']> {
  return {
    holderIdentity: record.holderIdentity,
    leaseDurationSeconds: record.leaseDurationSeconds,
    acquireTime: record.acquireTime ?? null,
    renewTime: record.renewTime ?? null,
    leaseTransitions: record.leaseTransitions,
  };
}

/** leaselock.go, LeaseSpecToLeaderElectionRecord: whatever is missing is the zero value. */
export function storedLease(lease: Lease): StoredLease {
  const spec = lease.spec ?? {};
  return {
    record: {
      holderIdentity: textOf(spec.holderIdentity) ?? '',
      leaseDurationSeconds: numberOf(spec.leaseDurationSeconds),
      acquireTime: textOf(spec.acquireTime),
      renewTime: textOf(spec.renewTime),
      leaseTransitions: numberOf(spec.leaseTransitions),
    },
    version: lease.metadata.resourceVersion ?? '',
    annotations: lease.metadata.annotations ?? {},
    raw: lease,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
}

function isLease(value: unknown): value is Lease {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false;
  const { metadata } = value;
  return typeof metadata === 'object' && metadata !== null;
}

/** A Lease without a version cannot be updated safely, so it is not one. */
function isStored(value: unknown): value is Lease {
  return isLease(value) && typeof value.metadata.resourceVersion === 'string';
}

function changeOf(lease: Lease | undefined, version: string | undefined): LeaseChange | undefined {
  if (lease === undefined) return { kind: 'absent', version };
  return isStored(lease) ? { kind: 'present', lease: storedLease(lease) } : undefined;
}

async function attempt(call: () => Promise<Lease>, operation?: 'create'): Promise<StoredLease> {
  let answer: unknown;
  try {
    answer = await call();
  } catch (error) {
    const kind = storeErrorKind(error);
    const exists = operation === 'create' && kind === 'conflict';
    throw new StoreError(exists ? 'already-exists' : kind, messageOf(error), { cause: error });
  }
  if (!isStored(answer))
    throw new StoreError('garbage', 'the API server answered with something that is no Lease');
  return storedLease(answer);
}

/** The kinds a KubeError shares with StoreError; 'gone' has no meaning for a single object. */
const kinds: ReadonlySet<string> = new Set<StoreErrorKind>([
  'not-found',
  'conflict',
  'already-exists',
  'unauthorized',
  'forbidden',
  'invalid',
  'throttled',
  'server',
  'unreachable',
  'timeout',
  'garbage',
]);

function isStoreErrorKind(value: unknown): value is StoreErrorKind {
  return typeof value === 'string' && kinds.has(value);
}

function storeErrorKind(error: unknown): StoreErrorKind {
  const kind = error instanceof Error && 'kind' in error ? error.kind : undefined;
  if (isStoreErrorKind(kind)) return kind;
  return kind === 'gone' ? 'server' : 'garbage';
}
