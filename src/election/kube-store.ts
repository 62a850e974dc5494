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
    read: (call) => attempt(ref, () => client.get<Lease>(leaseResource, ref, call)),
    create: async (record, call) => {
      const sent = newLease(ref, annotations, record);
      const create = (): Promise<Lease> => client.create<Lease>(leaseResource, sent, call);
      return written(await attempt(ref, create, 'create'), sent, undefined);
    },
    update: async (base, record, call) => {
      const sent = changedLease(base, ref, annotations, record);
      const update = (): Promise<Lease> => client.update<Lease>(leaseResource, sent, call);
      return written(await attempt(ref, update), sent, base);
    },
  };
  if (watchLease === undefined) return store;
  return {
    ...store,
    watch: (onChange, signal) => {
      watchLease((lease, version) => {
        const change = changeOf(ref, lease, version);
        if (change !== undefined) onChange(change);
      }, signal);
    },
  };
}

/** Where a Lease lies. */
interface Place {
  readonly namespace: string;
  readonly name: string;
}

function newLease(ref: Place, annotations: Readonly<Record<string, string>>, record: LeaseRecord): Lease {
  const metadata = Object.keys(annotations).length === 0 ? ref : { ...ref, annotations };
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: specOf(record) };
}

function changedLease(
  base: StoredLease,
  ref: ObjectMeta,
  annotations: Readonly<Record<string, string>>,
  record: LeaseRecord,
): Lease {
  const raw: Lease = isLease(base.raw) ? base.raw : { metadata: ref };
  const merged = { ...base.annotations, ...annotations };
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
    annotations: textsOf(lease.metadata.annotations),
    raw: lease,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
}

function isLease(value: unknown): value is Lease {
  return isObject(value) && isObject(value.metadata) && (value.spec === undefined || isObject(value.spec));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** This Lease, in some version: without one it could not be updated safely. */
function isStored(value: unknown, { namespace, name }: Place): value is Lease {
  if (!isLease(value)) return false;
  const { metadata } = value;
  const isOurs = metadata.name === name && metadata.namespace === namespace;
  return isOurs && typeof metadata.resourceVersion === 'string';
}

function changeOf(
  place: Place,
  lease: Lease | undefined,
  version: string | undefined,
): LeaseChange | undefined {
  if (lease === undefined) return { kind: 'absent', version };
  return isStored(lease, place) ? { kind: 'present', lease: storedLease(lease) } : undefined;
}

async function attempt(place: Place, call: () => Promise<Lease>, operation?: 'create'): Promise<StoredLease> {
  let answer: unknown;
  try {
    answer = await call();
  } catch (error) {
    const kind = storeErrorKind(error);
    const exists = operation === 'create' && kind === 'conflict';
    throw new StoreError(exists ? 'already-exists' : kind, messageOf(error), { cause: error });
  }
  if (!isStored(answer, place))
    throw new StoreError('garbage', 'the API server answered with something that is not this Lease');
  return storedLease(answer);
}

/**
 * The answer to a write, if it says that this write was done: whoever stands between us and the API server may answer
 * 200 with anything. One that names somebody else is passed on, for it is a reason to doubt that we hold.
 */
function written(answer: StoredLease, { spec }: Lease, base: StoredLease | undefined): StoredLease {
  const { holderIdentity, renewTime } = answer.record;
  const isSame = base === undefined || uidOf(base) === undefined || uidOf(base) === uidOf(answer);
  const isNewer = answer.version !== base?.version;
  if (isSame && isNewer && holderIdentity === spec?.holderIdentity && renewTime === spec.renewTime)
    return answer;
  const isOthers = !['', spec?.holderIdentity, base?.record.holderIdentity].includes(holderIdentity);
  if (isSame && isOthers) return answer;
  throw new StoreError('garbage', 'the API server answered a write with a Lease other than the one written');
}

function uidOf({ raw }: StoredLease): string | undefined {
  return isLease(raw) ? raw.metadata.uid : undefined;
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
