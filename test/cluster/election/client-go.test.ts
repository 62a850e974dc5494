import assert from 'node:assert/strict';
import { after, before, describe, it, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureComponents, waitFor, whyMissing } from '../../../lab/index.ts';
import { createElection, createKubeLeaseStore, watchLeaseWith } from '../../../src/election/index.ts';
import type { LeaseStore } from '../../../src/election/index.ts';
import { tenureMs } from '../../../src/election/timings.ts';
import {
  createReflector,
  fixedCredentials,
  Http2KubeClient,
  leases,
  nameSelector,
} from '../../../src/kube/index.ts';
import type { Lease } from '../../../src/kube/index.ts';
import { systemClock } from '../../../src/linux/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { startRealApi } from '../kube/real-api.ts';
import type { RealApi } from '../kube/real-api.ts';
import { GoCandidate } from './go-candidate.ts';

/** Between a tenure and its lease three seconds are left, which this process may have to wait for its processor. */
const timings = { leaseDurationMs: 10_000, renewDeadlineMs: 6000, retryPeriodMs: 1000 };
/** Far from the end of a lease, however busy the machine is. */
const SOON_MS = 5000;
const clock = systemClock();
const parts = { clock, random: Math.random, log: silentLogger };
const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** A candidate of ours, whose way to the API server can be cut. */
class OwnCandidate {
  readonly tenures: { readonly from: number; to: number | undefined }[] = [];
  cut = false;
  private readonly abort = new AbortController();
  private readonly client: Http2KubeClient;
  private readonly ended: Promise<void>;

  constructor(api: RealApi, name: string, identity: string) {
    this.client = new Http2KubeClient({ ...parts, credentials: fixedCredentials(api.connection) });
    const { client } = this;
    const watchLease = watchLeaseWith({ namespace: 'default', name }, (listener) =>
      createReflector<Lease>(
        { ...parts, client },
        { resource: leases, namespace: 'default', fieldSelector: nameSelector(name), listener },
      ),
    );
    const store = createKubeLeaseStore({ client, watchLease }, { namespace: 'default', name });
    this.ended = createElection({ ...parts, store: this.cuttable(store) }, { identity, ...timings }).run(
      {
        acquired: () => {
          this.tenures.push({ from: Date.now(), to: undefined });
        },
        lost: () => {
          const last = this.tenures.at(-1);
          if (last !== undefined) last.to = Date.now();
        },
      },
      this.abort.signal,
    );
  }

  get leads(): boolean {
    const last = this.tenures.at(-1);
    return last !== undefined && last.to === undefined;
  }

  async untilLeading(): Promise<void> {
    await waitFor(() => this.leads, { what: 'our candidate to hold', everyMs: 5 });
  }

  async stop(): Promise<void> {
    this.abort.abort();
    await this.ended;
    this.client.close();
  }

  private cuttable(store: LeaseStore): LeaseStore {
    const silence = new Promise<never>(() => undefined);
    return {
      ...store,
      read: (options) => (this.cut ? silence : store.read(options)),
      create: (record, options) => (this.cut ? silence : store.create(record, options)),
      update: (base, record, options) => (this.cut ? silence : store.update(base, record, options)),
      watch: (onChange, signal) => {
        store.watch?.((change) => {
          if (!this.cut) onChange(change);
        }, signal);
      },
    };
  }
}

/** Time in which two of these tenures overlap, ms. */
function overlapMs(
  a: readonly { readonly from: number; readonly to: number | undefined }[],
  b: readonly { readonly from: number; readonly to: number | undefined }[],
): number {
  const now = Date.now();
  const pairs = a.flatMap((x) => b.map((y) => [x, y] as const));
  const both = pairs.map(([x, y]) => Math.min(x.to ?? now, y.to ?? now) - Math.max(x.from, y.from));
  return Math.max(0, ...both);
}

const missing = whyMissing(await ensureComponents(['etcd', 'kube-apiserver', 'lease-candidate']));
if (missing !== undefined) test('a lease shared with client-go', { skip: missing });
else {
  describe('a lease shared with client-go 0.36', () => {
    let api: RealApi;
    let reader: Http2KubeClient;
    let serial = 0;
    const freshName = (): string => `mixed-${process.pid}-${++serial}`;

    before(async () => {
      api = await startRealApi();
      reader = new Http2KubeClient({ ...parts, credentials: fixedCredentials(api.connection) });
    });
    after(async () => {
      reader.close();
      await api.close();
    });

    const leaseOf = async (name: string): Promise<Lease> => {
      const path = `/apis/coordination.k8s.io/v1/namespaces/default/leases/${name}`;
      return JSON.parse((await reader.raw(path)).body) as Lease;
    };

    it('CP-71 each takes over from the other, when released and when dead, and both never hold', async (t: TestContext) => {
      const name = freshName();
      const first = new GoCandidate(api, { name, identity: 'go-1' }, timings);
      const own = new OwnCandidate(api, name, 'own');
      const gone: GoCandidate[] = [first];
      try {
        await waitFor(() => first.leads || own.leads, { what: 'a leader' });
        // Whoever came first: let it be the Go one.
        if (own.leads) {
          const path = { namespace: 'default', name };
          await reader.patch(leases, path, 'merge', { spec: { holderIdentity: 'go-1' } });
          await waitFor(() => !own.leads, { what: 'our candidate to see it', everyMs: 5 });
          await first.untilLeading();
        }
        await sleep(1500);

        let at = Date.now();
        await first.stop();
        await own.untilLeading();
        const released = Date.now() - at;
        t.diagnostic(`released by Go, ours after ${released} ms`);
        assert.ok(released < SOON_MS, `released by Go, ours after ${released} ms`);

        const second = new GoCandidate(api, { name, identity: 'go-2' }, timings);
        gone.push(second);
        await sleep(2500);
        assert.equal(second.leads, false);

        // Cut off: ours must be gone before Go may take it.
        at = Date.now();
        own.cut = true;
        await second.untilLeading();
        const lostAfter = (own.tenures.at(-1)?.to ?? Infinity) - at;
        t.diagnostic(`cut off, ours gone after ${lostAfter} ms of ${tenureMs(timings)}`);
        assert.ok(lostAfter < timings.leaseDurationMs, `ours gone after ${lostAfter} ms`);

        own.cut = false;
        await sleep(2500);
        assert.equal(own.leads, false);
        at = Date.now();
        await second.kill();
        await own.untilLeading();
        const waited = Date.now() - at;
        t.diagnostic(`Go killed, ours after ${waited} ms`);
        const bound = timings.leaseDurationMs + timings.retryPeriodMs * 2.2 + SOON_MS;
        assert.ok(waited > SOON_MS && waited < bound, `Go killed, ours after ${waited} ms`);

        const third = new GoCandidate(api, { name, identity: 'go-3' }, timings);
        gone.push(third);
        await sleep(1500);
        await own.stop();
        at = Date.now();
        await third.untilLeading();
        const given = Date.now() - at;
        t.diagnostic(`released by us, Go after ${given} ms`);
        assert.ok(given < timings.retryPeriodMs * 2.2 + SOON_MS, `released by us, Go after ${given} ms`);
        for (const go of gone) assert.equal(overlapMs(go.tenures, own.tenures), 0);
      } finally {
        await own.stop();
        for (const go of gone) await go.kill();
      }
    });

    it('both write the same fields in the same formats, held and released', async () => {
      const [goName, ownName] = [freshName(), freshName()];
      const go = new GoCandidate(api, { name: goName, identity: 'node-1' }, timings);
      const own = new OwnCandidate(api, ownName, 'node-1');
      try {
        await go.untilLeading();
        await own.untilLeading();
        for (const each of [goName, ownName]) {
          await waitFor(async () => isRenewed(await leaseOf(each)), { what: `a renewal of ${each}` });
        }
        const held = [await leaseOf(goName), await leaseOf(ownName)] as const;
        await Promise.all([go.stop(), own.stop()]);
        const released = [await leaseOf(goName), await leaseOf(ownName)] as const;
        for (const [theirs, ours] of [held, released]) assertSameShape(theirs, ours);
        assert.equal(released[1].spec?.holderIdentity, '');
        assert.equal(released[1].spec.leaseDurationSeconds, 1);
        assert.equal(released[1].spec.acquireTime, released[1].spec.renewTime);
        assert.equal(released[0].spec?.acquireTime, released[0].spec?.renewTime);
      } finally {
        await own.stop();
        await go.kill();
      }
    });
  });
}

function isRenewed({ spec }: Lease): boolean {
  return spec?.renewTime !== undefined && spec.renewTime !== spec.acquireTime;
}

/** Equal but for times: same keys, same values, same format, and the server's own account of who owns what. */
function assertSameShape(theirs: Lease, ours: Lease): void {
  const blank = (lease: Lease): object => ({
    ...lease.spec,
    acquireTime: microTime.test(lease.spec?.acquireTime ?? ''),
    renewTime: microTime.test(lease.spec?.renewTime ?? ''),
  });
  assert.deepEqual(blank(ours), blank(theirs));
  assert.deepEqual(Object.keys(ours.metadata).sort(), Object.keys(theirs.metadata).sort());
  assert.deepEqual(ownedFields(ours), ownedFields(theirs));
}

function ownedFields(lease: Lease): unknown {
  const { managedFields } = lease.metadata as { managedFields?: readonly { readonly fieldsV1: unknown }[] };
  assert.ok(managedFields !== undefined && managedFields.length > 0, 'the server names the owners of fields');
  return managedFields.map((entry) => entry.fieldsV1);
}
