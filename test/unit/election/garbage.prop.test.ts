import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createElection, createKubeLeaseStore } from '../../../src/election/index.ts';
import { KubeError, type KubeClient, type Lease } from '../../../src/kube/index.ts';
import type { Fence } from '../../../src/lib/fence.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { runs } from '../../../src/testing/runs.ts';

type Calls = Pick<KubeClient, 'get' | 'create' | 'update'>;

/** One Lease on an API server that tells the truth, with every version it ever had. */
class Truth {
  readonly versions: Lease[] = [];
  calls = 0;

  get current(): Lease | undefined {
    return this.versions.at(-1);
  }

  get(): Lease {
    if (this.current === undefined) throw refused('not-found');
    return this.current;
  }

  create(sent: Lease): Lease {
    if (this.current !== undefined) throw refused('already-exists');
    return this.put(sent);
  }

  update(sent: Lease): Lease {
    if (sent.metadata.resourceVersion !== this.get().metadata.resourceVersion) throw refused('conflict');
    return this.put(sent);
  }

  private put(sent: Lease): Lease {
    const resourceVersion = String(this.versions.length + 1);
    const lease = { ...sent, metadata: { ...sent.metadata, uid: 'u-1', resourceVersion } };
    this.versions.push(lease);
    return lease;
  }
}

function refused(kind: 'not-found' | 'already-exists' | 'conflict' | 'server'): KubeError {
  return new KubeError({ kind, message: kind, path: '' });
}

/** What is made of an answer on its way. `isDone`: the API server has got the call nevertheless. */
interface Lie {
  readonly kind:
    | 'truth'
    | 'anything'
    | 'other-name'
    | 'other-namespace'
    | 'other-uid'
    | 'other-holder'
    | 'nobody'
    | 'old-version'
    | 'old-times'
    | 'not-written'
    | 'no-spec'
    | 'refused';
  readonly isDone: boolean;
  readonly json: unknown;
}

const lie: fc.Arbitrary<Lie> = fc.record({
  kind: fc.constantFrom<Lie['kind']>(
    'truth',
    'anything',
    'other-name',
    'other-namespace',
    'other-uid',
    'other-holder',
    'nobody',
    'old-version',
    'old-times',
    'not-written',
    'no-spec',
    'refused',
  ),
  isDone: fc.boolean(),
  json: fc.jsonValue({ maxDepth: 2 }),
});

function told({ kind, json }: Lie, truth: Truth, sent: Lease | undefined): unknown {
  const base: Lease = sent ?? truth.current ?? { metadata: {} };
  const named = { name: 'lock', namespace: 'ns', uid: 'u-1' };
  const like: Lease = { ...base, metadata: { ...base.metadata, ...named, resourceVersion: '100000' } };
  switch (kind) {
    case 'truth':
      return truth.get();
    case 'anything':
      return json;
    case 'other-name':
      return { ...like, metadata: { ...like.metadata, name: 'other' } };
    case 'other-namespace':
      return { ...like, metadata: { ...like.metadata, namespace: 'other' } };
    case 'other-uid':
      // Who makes a Lease does not know its uid: an echo of that cannot be told from the truth.
      if (base.metadata.uid === undefined) throw refused('server');
      return { ...like, metadata: { ...like.metadata, uid: 'u-2' } };
    case 'other-holder':
      return { ...like, spec: { ...like.spec, holderIdentity: 'stranger' } };
    case 'nobody':
      return { ...like, spec: { ...like.spec, holderIdentity: '' } };
    case 'old-version':
      return truth.versions[Math.floor(truth.versions.length / 2)];
    case 'old-times':
      return { ...like, spec: { ...like.spec, renewTime: '2020-01-01T00:00:00.000000Z' } };
    case 'not-written':
      return truth.current;
    case 'no-spec':
      return { ...like, spec: undefined };
    case 'refused':
      throw refused('server');
  }
}

/** A proxy that answers writes, and reads, with garbage while `lies` has more of it. Reads may lie about anything. */
function liar(
  truth: Truth,
  lies: readonly Lie[],
  state: { readonly isLying: boolean },
  clock: FakeClock,
): Calls {
  let next = 0;
  const answer = (sent: Lease | undefined, honest: () => Lease): Promise<never> => {
    truth.calls++;
    const own = state.isLying ? lies[next++ % lies.length] : undefined;
    const reply = (): unknown => {
      if (own === undefined || own.kind === 'truth') return honest();
      if (own.isDone) honest();
      return told(own, truth, sent);
    };
    return clock.sleep('way', 5).then(() => reply() as never);
  };
  return {
    get: () => answer(undefined, () => truth.get()),
    create: (_resource, sent) => answer(sent, () => truth.create(sent)),
    update: (_resource, sent) => answer(sent, () => truth.update(sent)),
  };
}

/** Reads that say nobody holds, and never what an update has to be based on. */
const freeAndRefused: Lie[] = [
  { kind: 'truth', isDone: false, json: null },
  { kind: 'no-spec', isDone: true, json: null },
  { kind: 'nobody', isDone: true, json: null },
];

const timings = { leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 };
/** Calls a second, on average, at most: also garbage is no reason for a flood. */
const mostCalls = 60;

function candidate(identity: string, client: Calls, clock: FakeClock, seed: number) {
  let state = seed;
  const random = (): number => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state / 2 ** 31;
  };
  const store = createKubeLeaseStore({ client }, { namespace: 'ns', name: 'lock' });
  const election = createElection({ store, clock, random, log: silentLogger }, { identity, ...timings });
  const abort = new AbortController();
  let fence: Fence | undefined;
  const acquired = (given: Fence): void => {
    fence = given;
  };
  const lost = (): void => {
    fence = undefined;
  };
  const ended = election.run({ acquired, lost }, abort.signal);
  return { holds: () => fence?.holds() === true, ended, abort };
}

test('whatever answers come for the API server, there are never two holders, no flood, and one holder afterwards', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(lie, { minLength: 1, maxLength: 40 }), fc.nat(1e9), async (lies, seed) => {
      const clock = new FakeClock();
      const truth = new Truth();
      const state = { isLying: seed % 2 === 0 };
      const a = candidate('node-a', liar(truth, lies, state, clock), clock, seed);
      if (seed % 3 === 0) await clock.advance(500);
      const b = candidate('node-b', liar(truth, [], { isLying: false }, clock), clock, seed + 1);
      const live = async (ms: number): Promise<void> => {
        for (let left = ms; left > 0; left -= 50) {
          await clock.advance(50);
          assert.ok(!a.holds() || !b.holds(), 'two holders');
        }
      };
      await live(3000);
      state.isLying = true;
      truth.calls = 0;
      await live(20_000);
      assert.ok(truth.calls < 20 * mostCalls, `${truth.calls} calls in 20 s`);
      state.isLying = false;
      await live(15_000);
      assert.ok(a.holds() || b.holds(), 'nobody holds');
      a.abort.abort();
      b.abort.abort();
      for (let left = 100; left > 0; left--) await clock.advance(100);
      await Promise.all([a.ended, b.ended]);
      assert.equal(truth.current?.spec?.holderIdentity, '');
    }),
    { numRuns: runs(60), examples: [[freeAndRefused, 0]] },
  );
});
