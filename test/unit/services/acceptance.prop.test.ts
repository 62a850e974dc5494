import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ServicesOptions } from '../../../src/services/types.ts';
import { World, type Wish } from './scene.ts';
import { runs } from '../../../src/testing/runs.ts';

const names = ['alpha', 'beta', 'gamma'] as const;
const vips = ['192.0.2.1', '192.0.2.2', '2001:db8::1'] as const;
const nodeNames = ['a', 'b', 'c'] as const;
const commonLease = 'kube-system/plndr-svcs-lock';

interface Wanted {
  readonly vips: readonly string[];
  readonly policy: 'Cluster' | 'Local';
  readonly lease: string;
  readonly isForced: boolean;
  readonly isIgnored: boolean;
  readonly type: string;
}

const wanted: fc.Arbitrary<Wanted> = fc.record({
  vips: fc.oneof(
    fc.constantFrom(...vips).map((vip) => [vip]),
    fc.subarray([...vips], { minLength: 0 }),
  ),
  policy: fc.constantFrom('Cluster', 'Local'),
  lease: fc.oneof(
    { weight: 3, arbitrary: fc.constant('') },
    { weight: 2, arbitrary: fc.constantFrom('common', 'other/common', 'kubevip-alpha', 'Bad_Name') },
  ),
  isForced: fc.boolean(),
  isIgnored: fc.constantFrom(false, false, false, true),
  type: fc.constantFrom('LoadBalancer', 'LoadBalancer', 'LoadBalancer', 'ClusterIP'),
});

const plain: Omit<Wanted, 'vips' | 'policy'> = {
  lease: '',
  isForced: true,
  isIgnored: false,
  type: 'LoadBalancer',
};

type Op =
  | { readonly do: 'put'; readonly name: string; readonly wanted: Wanted }
  | { readonly do: 'remove'; readonly name: string }
  | { readonly do: 'endpoints'; readonly name: string; readonly on: readonly string[] }
  | { readonly do: 'restart' | 'cut' | 'deafen'; readonly node: number };

const name = fc.constantFrom(...names);
/** A VIP that nobody else has by itself: of Services that share one, little can be said where one of them is Local. */
const put: fc.Arbitrary<Op> = fc
  .record({ do: fc.constant('put' as const), name, wanted, isAlone: fc.constantFrom(true, true, false) })
  .map(({ isAlone, ...step }) => {
    const own = vips[names.indexOf(step.name)] ?? vips[0];
    return isAlone ? { ...step, wanted: { ...step.wanted, vips: [own] } } : step;
  });
/** Mostly on a node of three: the others may not have a Local Service then. Terminating ones carry a mark. */
const places = fc.oneof(
  fc.constantFrom(['a'], ['b'], ['c']),
  fc.subarray(['a', 'b', 'c', '~a', '~b'], { minLength: 0 }),
);
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: put },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), name }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('endpoints' as const), name, on: places }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('restart', 'cut', 'deafen'), node: fc.nat(2) }) },
);

const pauses = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 20, max: 200 }),
  fc.integer({ min: 200, max: 6000 }),
);
/** With each step which node is the fastest from then on; pauses are milliseconds. */
const steps = fc.array(fc.tuple(op, pauses, fc.nat(2)), { minLength: 3, maxLength: 14 });

/** Most stories end with a Local Service that only one or two nodes may have, whoever had it, or has the common lease. */
const ending = fc
  .record({ name, isForced: fc.boolean(), on: fc.subarray([...nodeNames], { minLength: 1, maxLength: 2 }) })
  .chain(({ name, isForced, on }) => {
    const wanted = { ...plain, policy: 'Local', isForced, vips: [vips[names.indexOf(name)] ?? ''] } as const;
    return fc.tuple(
      fc.tuple(fc.constant<Op>({ do: 'put', name, wanted }), pauses, fc.nat(2)),
      fc.tuple(fc.constant<Op>({ do: 'endpoints', name, on }), pauses, fc.nat(2)),
    );
  });
const story = fc
  .tuple(steps, fc.option(ending, { freq: 3 }))
  .map(([before, last]) => [...before, ...(last ?? [])]);

/** What is there, as users see it, beside the program under test. */
class Model {
  readonly services = new Map<string, Wanted>();
  readonly endpoints = new Map<string, readonly string[]>();
  private readonly mode: Partial<ServicesOptions>;

  constructor(mode: Partial<ServicesOptions>) {
    this.mode = mode;
  }

  /** Nodes that may carry a Service; with none it is not to be anywhere. */
  eligible(service: string): readonly string[] {
    const it = this.services.get(service);
    if (it === undefined || it.type !== 'LoadBalancer' || it.isIgnored || it.vips.length === 0) return [];
    if (it.lease !== '' && it.policy === 'Local') return [];
    if (this.hasLease(it) && it.lease === 'Bad_Name') return [];
    const places = (this.endpoints.get(service) ?? []).map((place) => place.replace('~', ''));
    if (places.length === 0) return [];
    return it.policy === 'Cluster' ? nodeNames : nodeNames.filter((each) => places.includes(each));
  }

  private hasLease({ isForced }: Wanted): boolean {
    return this.mode.perServiceElection === true || (this.mode.electionOnDemand === true && isForced);
  }

  /**
   * Nodes of which one must carry it. Whoever holds a lease for other Services, too, may have no endpoint of a Local one: nobody
   * has its VIP then.
   */
  due(service: string, holderOf: (lease: string) => string | undefined): readonly string[] {
    const places = this.eligible(service);
    const it = this.services.get(service);
    if (it === undefined || it.policy === 'Cluster') return places;
    const own = `kubevip-${service}`;
    const isNamed = [...this.services.values()].some(({ lease }) => lease === own);
    if (this.hasLease(it) && !isNamed) return places;
    const holder = holderOf(this.hasLease(it) ? `shop/${own}` : commonLease);
    return places.filter((each) => each === holder);
  }

  wish(service: string, it: Wanted): Wish {
    return {
      name: service,
      vip: it.vips.join(),
      policy: it.policy,
      type: it.type,
      created: `2026-01-0${names.findIndex((each) => each === service) + 1}T00:00:00Z`,
      annotations: {
        ...(it.lease === '' ? {} : { 'kube-vip.io/leaseName': it.lease }),
        ...(it.isForced ? { 'kube-vip.io/forcePerServiceElection': 'true' } : {}),
        ...(it.isIgnored ? { 'kube-vip.io/ignore': 'true' } : {}),
      },
    };
  }

  /** Services that no other shares an address with, or whose sharers may all be anywhere. */
  isSimple(service: string): boolean {
    const own = this.services.get(service);
    const sharers = [...this.services].filter(
      ([other, it]) => other !== service && it.vips.some((vip) => own?.vips.includes(vip)),
    );
    return sharers.length === 0 || [...this.services.values()].every(({ policy }) => policy === 'Cluster');
  }
}

async function live(
  mode: Partial<ServicesOptions>,
  ops: readonly (readonly [Op, number, number])[],
): Promise<void> {
  const world = new World(mode);
  const model = new Model(mode);
  for (const each of nodeNames) await world.add(each);
  await world.run(300);
  // Something to begin with: else most stories are about Services without endpoints.
  for (const [i, service] of names.entries()) {
    await act(world, model, { do: 'endpoints', name: service, on: nodeNames });
    const policy = i === 0 ? 'Local' : 'Cluster';
    const wanted = { ...plain, policy, vips: [vips[i] ?? ''] } as const;
    await act(world, model, { do: 'put', name: service, wanted });
  }
  await world.run(300);
  for (const [step, pause, fastest] of ops) {
    for (const [i, node] of world.nodes.entries()) node.luck = i === fastest ? 0 : 0.9;
    await act(world, model, step);
    if (pause > 0) await world.run(pause);
  }
  for (const node of world.nodes) {
    node.isCutOff = false;
    if (node.isDeaf) hear(world, model, node);
  }
  await world.run(40_000);
  assert.deepEqual(world.doubles, [], 'an address on two nodes');
  const due = new Set<string>();
  for (const [service, it] of model.services) {
    const places = model.eligible(service);
    if (places.length > 0) for (const vip of it.vips) due.add(vip);
    if (places.length === 0 || !model.isSimple(service)) continue;
    const obliged = model.due(service, (lease) => world.holderOf(lease));
    for (const vip of it.vips) {
      const holders = world.holders(vip);
      const where = `${vip} of ${service} on ${holders.join()}, may be on ${obliged.join()}`;
      assert.equal(holders.length, obliged.length === 0 ? 0 : 1, where);
      for (const holder of holders) assert.ok(obliged.includes(holder), where);
    }
  }
  for (const vip of vips) if (!due.has(vip)) assert.deepEqual(world.holders(vip), [], `${vip} nobody wants`);
  await world.close();
}

async function act(world: World, model: Model, step: Op): Promise<void> {
  switch (step.do) {
    case 'put':
      model.services.set(step.name, step.wanted);
      world.put(model.wish(step.name, step.wanted));
      return;
    case 'remove':
      model.services.delete(step.name);
      world.remove(step.name);
      return;
    case 'endpoints':
      model.endpoints.set(step.name, step.on);
      world.endpoints(step.name, ...step.on);
      return;
    case 'cut':
    case 'deafen': {
      const node = world.nodes[step.node];
      if (node === undefined) return;
      if (step.do === 'cut') node.isCutOff = !node.isCutOff;
      else if (node.isDeaf) hear(world, model, node);
      else node.isDeaf = true;
      return;
    }
    case 'restart': {
      const node = world.nodes[step.node];
      if (node === undefined || node.isCutOff) return;
      node.stop.abort();
      await world.run(400);
      await node.ended;
      world.nodes.splice(step.node, 1);
      const again = await world.add(node.name, node.kernel);
      world.nodes.splice(world.nodes.indexOf(again), 1);
      world.nodes.splice(step.node, 0, again);
    }
  }
}

function hear(world: World, model: Model, node: World['nodes'][number]): void {
  world.catchUp(node);
  for (const [service, on] of model.endpoints) world.endpoints(service, ...on);
}

const modes: readonly (readonly [string, Partial<ServicesOptions>])[] = [
  ['a lease for each Service', { perServiceElection: true }],
  ['one lease for all', {}],
  ['a lease of its own on demand', { electionOnDemand: true }],
];

for (const [what, mode] of modes) {
  test(`${what}: whatever is edited, moved and cut off, each VIP ends up on one node that may have it`, async () => {
    await fc.assert(
      fc.asyncProperty(story, (ops) => live(mode, ops)),
      { numRuns: runs(6), endOnFailure: true },
    );
  });
}
