import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ServicesOptions } from '../../../src/services/types.ts';
import { World, type Wish } from './scene.ts';
import { runs } from '../../../src/testing/runs.ts';

const names = ['alpha', 'beta', 'gamma'] as const;
const vips = ['192.0.2.1', '192.0.2.2', '2001:db8::1'] as const;
const nodeNames = ['a', 'b', 'c'] as const;

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
  policy: fc.constantFrom('Cluster', 'Cluster', 'Local'),
  lease: fc.constantFrom('', '', '', 'common', 'other/common', 'kubevip-alpha', 'Bad_Name'),
  isForced: fc.boolean(),
  isIgnored: fc.constantFrom(false, false, false, true),
  type: fc.constantFrom('LoadBalancer', 'LoadBalancer', 'LoadBalancer', 'ClusterIP'),
});

type Op =
  | { readonly do: 'put'; readonly name: string; readonly wanted: Wanted }
  | { readonly do: 'remove'; readonly name: string }
  | { readonly do: 'endpoints'; readonly name: string; readonly on: readonly string[] }
  | { readonly do: 'restart' | 'cut' | 'deafen'; readonly node: number };

const name = fc.constantFrom(...names);
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), name, wanted }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), name }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('endpoints' as const),
      name,
      on: fc.subarray(['a', 'b', 'c', '~a', '~b'], { minLength: 0 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('restart', 'cut', 'deafen'), node: fc.nat(2) }) },
);

const pauses = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 20, max: 200 }),
  fc.integer({ min: 200, max: 6000 }),
);
/** Which node is the fastest from then on; pauses are milliseconds. */
const story = fc.array(fc.tuple(op, pauses, fc.nat(2)), { minLength: 3, maxLength: 14 });

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
    const isOwn =
      this.mode.perServiceElection === true || (this.mode.electionOnDemand === true && it.isForced);
    if (isOwn && it.lease === 'Bad_Name') return [];
    const places = (this.endpoints.get(service) ?? []).map((place) => place.replace('~', ''));
    if (places.length === 0) return [];
    return it.policy === 'Cluster' ? nodeNames : nodeNames.filter((each) => places.includes(each));
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

const plain: Omit<Wanted, 'vips'> = {
  policy: 'Cluster',
  lease: '',
  isForced: true,
  isIgnored: false,
  type: 'LoadBalancer',
};

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
    await act(world, model, { do: 'put', name: service, wanted: { ...plain, vips: [vips[i] ?? ''] } });
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
    for (const vip of it.vips) {
      const holders = world.holders(vip);
      assert.equal(
        holders.length,
        1,
        `${vip} of ${service} on ${holders.join()}, may be on ${places.join()}`,
      );
      assert.ok(places.includes(holders[0] ?? ''), `${vip} of ${service} on ${holders.join()}`);
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
