import type { Random } from '../../src/lib/clock.ts';
import type { Model, Wish } from './model.ts';
import { createService, deleteService, editService, setEndpoints } from './objects.ts';
import { oneOf, upTo, type Draw, type Scene, type Step } from './steps.ts';

const maxServices = 14;

function someNodes(random: Random, { site }: Scene): readonly string[] {
  return site.nodes.map(({ name }) => name).filter(() => random() < 0.55);
}

function describe(wish: Wish): string {
  const { name, vip, dual, policy, nodes, lease, isOurs } = wish;
  const address = vip === undefined ? 'given' : `vip ${vip}${dual ? ' dual' : ''}`;
  return `${name} (${address}, ${policy}, on ${nodes.join('+') || 'none'}${lease === undefined ? '' : `, lease ${lease}`}${isOurs ? '' : ', ignored'})`;
}

/** Draws a Service, and what changes of it; the cluster is told when the step is taken. */
function edit(scene: Scene, what: string, change: (wish: Wish, model: Model) => boolean): Step | undefined {
  const { site, model, random } = scene;
  const wish = model.any(random);
  if (wish === undefined || !change(wish, model)) return undefined;
  const wanted = { ...wish };
  return { text: `${what}: ${describe(wanted)}`, act: () => editService(site.cluster, wanted) };
}

const create: Draw = (scene) => {
  const { site, model, random } = scene;
  if (model.services.size >= maxServices) return undefined;
  const pooled = site.has('ipam') && random() < 0.5;
  const vip = pooled ? undefined : model.freeVip(random);
  if (!pooled && vip === undefined) return undefined;
  const wish: Wish = {
    ...model.next(),
    vip,
    dual: !pooled && random() < 0.3,
    policy: random() < 0.3 ? 'Local' : 'Cluster',
    nodes: someNodes(random, scene),
    lease: undefined,
    isOurs: true,
  };
  model.services.set(wish.name, wish);
  const wanted = { ...wish };
  return { text: `create ${describe(wanted)}`, act: () => createService(site.cluster, wanted) };
};

/** With the address of another one: from then on they share it. */
const share: Draw = ({ site, model, random }) => {
  const other = model.any(random);
  if (other?.vip === undefined || other.policy === 'Local' || model.services.size >= maxServices)
    return undefined;
  const wish: Wish = { ...other, ...model.next(), nodes: other.nodes, lease: undefined, isOurs: true };
  model.services.set(wish.name, wish);
  const wanted = { ...wish };
  return {
    text: `create ${describe(wanted)}, sharing with ${other.name}`,
    act: () => createService(site.cluster, wanted),
  };
};

const remove: Draw = ({ site, model, random }) => {
  const wish = model.any(random);
  if (wish === undefined) return undefined;
  model.services.delete(wish.name);
  return { text: `delete ${wish.name}`, act: () => deleteService(site.cluster, wish.name) };
};

/** Under its old name at once, or under a new one with the old address. */
const replace: Draw = ({ site, model, random }) => {
  const old = model.any(random);
  if (old === undefined) return undefined;
  const isRenamed = random() < 0.5;
  const wish: Wish = isRenamed ? { ...old, ...model.next() } : { ...old };
  model.services.delete(old.name);
  model.services.set(wish.name, wish);
  const wanted = { ...wish };
  return {
    text: `delete ${old.name} and create ${describe(wanted)}`,
    act: async () => {
      await deleteService(site.cluster, old.name);
      await createService(site.cluster, wanted);
    },
  };
};

const move: Draw = (scene) =>
  edit(scene, 'move', (wish, model) => {
    const vip = model.freeVip(scene.random);
    if (wish.vip === undefined || vip === undefined) return false;
    wish.vip = vip;
    return true;
  });

/** Takes over the address of a Service that goes away in the same moment. */
const inherit: Draw = ({ site, model, random }) => {
  const [heir, former] = [model.any(random), model.any(random)];
  if (heir?.vip === undefined || former?.vip === undefined || heir === former || heir.vip === former.vip)
    return undefined;
  const others = model.sharers(former).filter((other) => other !== heir);
  if (others.some((other) => other.policy === 'Local' || heir.policy === 'Local')) return undefined;
  model.services.delete(former.name);
  heir.vip = former.vip;
  const wanted = { ...heir };
  return {
    text: `delete ${former.name}, give its address to ${describe(wanted)}`,
    act: async () => {
      await Promise.all([deleteService(site.cluster, former.name), editService(site.cluster, wanted)]);
    },
  };
};

const policy: Draw = (scene) =>
  edit(scene, 'policy', (wish, model) => {
    if (wish.policy === 'Cluster' && !model.mayBeLocal(wish)) return false;
    wish.policy = wish.policy === 'Cluster' ? 'Local' : 'Cluster';
    wish.lease = undefined;
    return true;
  });

const lease: Draw = (scene) =>
  edit(scene, 'lease', (wish) => {
    if (wish.policy === 'Local') return false;
    const names = ['', 'common-a', 'common-b', `own-${wish.name}`];
    wish.lease = oneOf(scene.random, names) || undefined;
    return true;
  });

const port: Draw = (scene) =>
  edit(scene, 'port', (wish, model) => {
    wish.port = model.next().port;
    return true;
  });

const ours: Draw = (scene) =>
  edit(scene, 'ignore or not', (wish, model) => {
    if (wish.vip === undefined || model.sharers(wish).length > 0) return false;
    wish.isOurs = !wish.isOurs;
    return true;
  });

const endpoints: Draw = (scene) => {
  const { site, model, random } = scene;
  const wish = model.any(random);
  if (wish === undefined) return undefined;
  wish.nodes = someNodes(random, scene);
  const wanted = { ...wish };
  return { text: `endpoints: ${describe(wanted)}`, act: () => setEndpoints(site.cluster, wanted) };
};

/** They come and go some times within a moment. */
const flap: Draw = (scene) => {
  const { site, model, random } = scene;
  const wish = model.any(random);
  if (wish === undefined) return undefined;
  const sets = Array.from({ length: upTo(random, 3, 8) }, () => someNodes(random, scene));
  wish.nodes = sets.at(-1) ?? [];
  const wanted = { ...wish };
  return {
    text: `endpoints flap: ${sets.map((nodes) => nodes.join('+') || 'none').join(' ')}: ${describe(wanted)}`,
    act: async () => {
      for (const nodes of sets) await setEndpoints(site.cluster, { ...wanted, nodes });
    },
  };
};

/** What users and controllers do to Services. */
export const serviceDraws: readonly Draw[] = [
  ...[create, create, create, create, share, share, remove, remove, replace, move, inherit],
  ...[policy, lease, lease, port, ours, endpoints, endpoints, flap],
];
