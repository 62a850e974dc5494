import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KubeObject } from '../../../src/kube/types.ts';
import { turn, World } from './world.ts';
import { runs } from '../../../src/testing/runs.ts';

const annotation = 'kube-vip.io/loadbalancerIPs';
const pool = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];

interface Service extends KubeObject {
  readonly spec: { readonly ports: readonly { readonly port: number }[]; readonly loadBalancerIP?: string };
}

const key = fc.integer({ min: 0, max: 6 }).map((n) => `ns${n % 2}/s${n}`);
const port = fc.integer({ min: 1, max: 2 });
const asked = fc.constantFrom(
  ...(['nothing', 'nothing', 'nothing', 'spec', 'annotation', 'elsewhere', 'rubbish', 'foreign'] as const),
);
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('create' as const), key, port, asked, n: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('touch' as const), key }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('land' as const), lost: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(50, 400, 3000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lead' as const) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

async function act(world: World, step: Action): Promise<void> {
  if (step.do === 'create' && !world.objects.has(step.key)) world.create(step.key, wishOf(step));
  else if (step.do === 'remove') world.remove(step.key);
  else if (step.do === 'touch') world.touch(step.key);
  else if (step.do === 'deliver') world.leader.deliver(step.count);
  else if (step.do === 'land') world.land(step.lost);
  else if (step.do === 'drop') world.dropOne();
  else if (step.do === 'lead') world.changeLeader();
  else if (step.do === 'wait') {
    world.clock.pause(step.ms);
    await world.clock.advance(0);
  }
  await turn();
}

function wishOf(step: Extract<Action, { do: 'create' }>): object {
  const { port: number, n } = step;
  const wish = { port: number };
  if (step.asked === 'spec')
    return { ...wish, annotations: { wish: pool[n] ?? '' }, spec: { loadBalancerIP: pool[n] } };
  if (step.asked === 'annotation')
    return { ...wish, annotations: { wish: pool[n] ?? '', [annotation]: pool[n] ?? '' } };
  if (step.asked === 'elsewhere') return { ...wish, annotations: { [annotation]: `192.0.2.${n}` } };
  if (step.asked === 'rubbish') return { ...wish, annotations: { [annotation]: '10.0.0.1;oops' } };
  if (step.asked === 'foreign') return { ...wish, spec: { loadBalancerClass: 'example.com/other' } };
  return wish;
}

/** What a Service was given or granted: labelled, with an address of the pool. */
function grantOf(object: KubeObject): string | undefined {
  const address = object.metadata.annotations?.[annotation];
  const isLabelled = object.metadata.labels?.['implementation'] === 'kube-vip';
  return isLabelled && address !== undefined && pool.includes(address) ? address : undefined;
}

function portOf(object: KubeObject): number {
  return (object as Service).spec.ports[0]?.port ?? 0;
}

/** No address twice, and none that was given changes while its Service lives. */
function check(world: World, share: boolean, given: Map<string, string>): void {
  const holders = new Map<string, string>();
  for (const [name, object] of world.objects) {
    const address = grantOf(object);
    const { uid = '' } = object.metadata;
    if (address === undefined) {
      assert.equal(given.get(uid), undefined, `${name} lost its address`);
      continue;
    }
    assert.equal(given.get(uid) ?? address, address, `${name} has another address now`);
    given.set(uid, address);
    // Whoever asks for an address may share it by port; to the others that happens where the pool allows it.
    const isChosen = share || wishIn(object) !== undefined;
    for (const place of isChosen
      ? [`${address} ${portOf(object)}`]
      : [`${address} ${portOf(object)}`, address]) {
      assert.equal(
        holders.get(place),
        undefined,
        `${place} belongs to ${name} and to ${holders.get(place) ?? ''}`,
      );
      holders.set(place, name);
    }
  }
}

/** When nothing moves any more: who has nothing could not have any. */
function checkNoneLeft(world: World, share: boolean): void {
  const all = [...world.objects.values()] as unknown as readonly Service[];
  for (const service of all) {
    const { annotations, deletionTimestamp, name = '' } = service.metadata;
    assert.equal(deletionTimestamp, undefined, 'nothing holds what is deleted');
    const isForeign = 'loadBalancerClass' in service.spec;
    if (isForeign || annotations?.[annotation] !== undefined) continue;
    const wish = wishIn(service);
    const isTaken = (address: string): boolean =>
      all.some((other) => {
        const isSamePort = portOf(other) === portOf(service);
        if (wish !== undefined) return grantOf(other) === address && isSamePort;
        // What others wait for is kept for them.
        return (grantOf(other) ?? wishIn(other)) === address && (!share || isSamePort);
      });
    const free = (wish === undefined ? pool : [wish]).filter((address) => !isTaken(address));
    assert.deepEqual(free, [], `${name} waits although there is room`);
  }
}

function wishIn(object: KubeObject): string | undefined {
  return object.metadata.annotations?.['wish'];
}

async function play(actions: readonly Action[], share: boolean): Promise<void> {
  const world = new World({ 'range-global': '10.0.0.1-10.0.0.4', 'allow-share-global': String(share) });
  const given = new Map<string, string>();
  for (const step of actions) {
    await act(world, step);
    check(world, share, given);
  }
  await world.settle();
  check(world, share, given);
  checkNoneLeft(world, share);
  const { sent } = world;
  world.changeLeader();
  await world.settle();
  assert.equal(world.sent, sent, 'a restart changes nothing');
}

test('IPAM-17 IPAM-11 any sequence of edits, lost answers, late events and new holders: no address twice, none leaked', async () => {
  await fc.assert(fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), fc.boolean(), play), {
    numRuns: runs(10_000),
  });
});
