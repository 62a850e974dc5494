import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createKubeLeaseStore, StoreError, watchLeaseWith } from '../../../src/election/index.ts';
import type { KubeLeaseOptions, LeaseChange } from '../../../src/election/index.ts';
import { storedLease } from '../../../src/election/kube-store.ts';
import { KubeError } from '../../../src/kube/index.ts';
import type { KubeClient, KubeErrorKind, Lease, ReflectorListener } from '../../../src/kube/index.ts';
import { callOptions, failsAs, recordOf } from '../../../src/testing/contract/election-subject.ts';

/** A client that answers every call with what `answer` makes of the object sent. */
function clientThat(answer: (sent: Lease | undefined) => unknown): {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  readonly sent: (Lease | undefined)[];
} {
  const sent: (Lease | undefined)[] = [];
  const reply = <T>(object: unknown): Promise<T> => {
    sent.push(object as Lease | undefined);
    return Promise.resolve(answer(object as Lease | undefined) as T);
  };
  return {
    sent,
    client: {
      get: () => reply(undefined),
      create: (_resource, object) => reply(object),
      update: (_resource, object) => reply(object),
    },
  };
}

function storeOver(
  client: Pick<KubeClient, 'get' | 'create' | 'update'>,
  more: Partial<KubeLeaseOptions> = {},
) {
  return createKubeLeaseStore({ client }, { namespace: 'ns', name: 'lock', ...more });
}

const echo = (sent: Lease | undefined): Lease => ({
  ...sent,
  metadata: { ...sent?.metadata, resourceVersion: '5' },
});

test('a new Lease has exactly the fields client-go writes', async () => {
  const { client, sent } = clientThat(echo);
  await storeOver(client).create(recordOf('node-a'), callOptions);
  assert.deepEqual(sent[0], {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: 'ns', name: 'lock' },
    spec: {
      holderIdentity: 'node-a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-02T03:04:05.678901Z',
      renewTime: '2026-01-02T03:04:06.000001Z',
      leaseTransitions: 0,
    },
  });
});

test('an update keeps uid, labels, annotations and fields that nobody here knows', async () => {
  const { client, sent } = clientThat(echo);
  const raw = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      namespace: 'ns',
      name: 'lock',
      uid: 'u-1',
      resourceVersion: '4',
      labels: { l: '1' },
      annotations: { theirs: 'x' },
    },
    spec: { holderIdentity: 'node-b', future: { deep: [1] }, strategy: 'OldestEmulationVersion' },
  } as Lease;
  await storeOver(client, { annotations: { ours: 'y' } }).update(
    storedLease(raw),
    recordOf('node-a'),
    callOptions,
  );
  const { metadata, spec } = sent[0] ?? { metadata: {}, spec: {} };
  assert.deepEqual(metadata, { ...raw.metadata, annotations: { theirs: 'x', ours: 'y' } });
  assert.deepEqual(spec, { ...raw.spec, ...recordOf('node-a') });
});

test('a Lease without spec is a record that nobody holds', () => {
  const { record } = storedLease({ metadata: { resourceVersion: '1' } });
  assert.deepEqual(record, {
    holderIdentity: '',
    leaseDurationSeconds: 0,
    acquireTime: undefined,
    renewTime: undefined,
    leaseTransitions: 0,
  });
});

test('failures of the API server keep their meaning', async () => {
  const rows: readonly [KubeErrorKind, StoreError['kind']][] = [
    ['not-found', 'not-found'],
    ['conflict', 'conflict'],
    ['forbidden', 'forbidden'],
    ['unauthorized', 'unauthorized'],
    ['throttled', 'throttled'],
    ['server', 'server'],
    ['unreachable', 'unreachable'],
    ['timeout', 'timeout'],
    ['garbage', 'garbage'],
    ['gone', 'server'],
  ];
  for (const [kind, expected] of rows) {
    const { client } = clientThat(() => {
      throw new KubeError({ kind, message: 'as said', path: 'GET /x' });
    });
    const failing = {
      ...client,
      get: () => Promise.reject(new KubeError({ kind, message: 'as said', path: '' })),
    };
    await failsAs([expected], storeOver(failing).read(callOptions));
  }
});

test('an answer to a write that is not the Lease as written is none; one that names somebody else is passed on', async () => {
  const spec = { holderIdentity: 'node-a', renewTime: recordOf('node-a').renewTime ?? null };
  const metadata = { name: 'lock', namespace: 'ns', uid: 'u-1', resourceVersion: '5' };
  const base = storedLease({ metadata: { ...metadata, resourceVersion: '4' }, spec });
  const rows: readonly [Lease, string][] = [
    [{ metadata, spec }, 'node-a'],
    [{ metadata: { ...metadata, name: 'other' }, spec }, 'garbage'],
    [{ metadata: { ...metadata, namespace: 'other' }, spec }, 'garbage'],
    [{ metadata: { ...metadata, uid: 'u-2' }, spec }, 'garbage'],
    [{ metadata: { ...metadata, resourceVersion: '4' }, spec }, 'garbage'],
    [{ metadata, spec: { ...spec, renewTime: '2026-01-02T03:04:00.000000Z' } }, 'garbage'],
    [{ metadata, spec: { ...spec, holderIdentity: '' } }, 'garbage'],
    [{ metadata }, 'garbage'],
    [{ metadata, spec: { ...spec, holderIdentity: 'node-b' } }, 'node-b'],
    [{ metadata: { ...metadata, uid: 'u-2' }, spec: { ...spec, holderIdentity: 'node-b' } }, 'garbage'],
  ];
  for (const [answer, expected] of rows) {
    const { client } = clientThat(() => answer);
    const update = storeOver(client).update(base, recordOf('node-a'), callOptions);
    if (expected === 'garbage') await failsAs(['garbage'], update);
    else assert.equal((await update).record.holderIdentity, expected);
  }
});

test('any conflict on create means that the record exists', async () => {
  const create = (): Promise<never> =>
    Promise.reject(new KubeError({ kind: 'conflict', message: 'as said', path: '' }));
  const { client } = clientThat(echo);
  await failsAs(['already-exists'], storeOver({ ...client, create }).create(recordOf('a'), callOptions));
});

test('whatever the API server answers is a record or a StoreError', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.anything(),
        fc.record({
          metadata: fc.oneof(
            fc.anything(),
            fc.record({ resourceVersion: fc.string(), annotations: fc.anything() }),
          ),
          spec: fc.anything(),
        }),
      ),
      async (answer) => {
        const { client } = clientThat(() => answer);
        try {
          const { record } = await storeOver(client).read(callOptions);
          assert.equal(typeof record.holderIdentity, 'string');
          assert.ok(Number.isSafeInteger(record.leaseTransitions));
        } catch (error) {
          assert.ok(error instanceof StoreError && error.kind === 'garbage', String(error));
        }
      },
    ),
  );
});

test('a watch tells records as they come, deletions with the version of the copy that went', () => {
  let listener: ReflectorListener<Lease> = {};
  const ran: AbortSignal[] = [];
  const watchLease = watchLeaseWith({ namespace: 'ns', name: 'lock' }, (given) => {
    listener = given;
    return {
      items: new Map(),
      status: () => {
        throw new Error('not asked here');
      },
      run: (signal) => {
        ran.push(signal);
        return Promise.resolve();
      },
    };
  });
  const { client } = clientThat(echo);
  const store = createKubeLeaseStore({ client, watchLease }, { namespace: 'ns', name: 'lock' });
  const told: LeaseChange[] = [];
  const { signal } = new AbortController();
  store.watch?.((change) => told.push(change), signal);
  assert.deepEqual(ran, [signal]);

  const lease = (version: string): Lease => ({
    metadata: { namespace: 'ns', name: 'lock', resourceVersion: version },
    spec: { holderIdentity: 'node-a' },
  });
  const foreign: Lease = { ...lease('9'), metadata: { ...lease('9').metadata, name: 'other' } };
  listener.synced?.(new Map());
  listener.changed?.('ns/lock', lease('2'), undefined);
  listener.removed?.('ns/lock', lease('3'));
  listener.synced?.(new Map([['ns/lock', lease('4')]]));
  // Of others a server should not tell here.
  listener.changed?.('ns/other', foreign, undefined);
  listener.removed?.('ns/other', foreign);
  listener.synced?.(new Map([['ns/other', foreign]]));
  // A broken object is no news.
  listener.changed?.('ns/lock', { metadata: {} }, undefined);
  const summary = told.map((change) =>
    change.kind === 'absent'
      ? ['absent', change.version]
      : [change.lease.record.holderIdentity, change.lease.version],
  );
  assert.deepEqual(summary, [
    ['absent', undefined],
    ['node-a', '2'],
    ['absent', '3'],
    ['node-a', '4'],
    ['absent', undefined],
  ]);
});
