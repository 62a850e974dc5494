import { microTime } from '../../../../src/election/record.ts';
import type { StoreErrorKind } from '../../../../src/election/store.ts';
import { healthyPath } from './network.ts';
import { between, pick } from './random.ts';
import type { SimNode } from './sim-node.ts';
import type { World } from './world.ts';

/** One kind of trouble: begins now, and ends by itself after `ms`. */
export type Fault = (world: World, node: SimNode, ms: number) => void;

const refusals: readonly StoreErrorKind[] = ['unauthorized', 'forbidden', 'throttled', 'server', 'garbage'];

function onPath(change: (node: SimNode, world: World) => void, heal: (node: SimNode) => void): Fault {
  return (world, node, ms) => {
    change(node, world);
    world.timeline.in(ms, () => {
      heal(node);
    });
  };
}

function cut(node: SimNode, down: 'refused' | 'black-hole'): void {
  node.path.down = down;
  node.path.watchGap = true;
}

function join(node: SimNode): void {
  node.path.down = 'no';
  node.path.watchGap = false;
  node.resyncWatch();
}

export const faults: Readonly<Record<string, Fault>> = {
  pause: (world, node, ms) => {
    node.pause();
    world.timeline.in(ms, () => {
      node.resume();
    });
  },
  'short pause': (world, node, ms) => {
    node.pause();
    world.timeline.in(ms / 20, () => {
      node.resume();
    });
  },
  crash: (world, node, ms) => {
    node.crash();
    world.timeline.in(ms, () => {
      if (!node.running) node.start();
    });
  },
  'crash and immediate restart': (_world, node) => {
    node.crash();
    node.start();
  },
  stop: (world, node, ms) => {
    node.stop();
    world.timeline.in(ms, () => {
      if (!node.running) node.start();
    });
  },
  'node refused': onPath((node) => {
    cut(node, 'refused');
  }, join),
  'node cut off': onPath((node) => {
    cut(node, 'black-hole');
  }, join),
  'lost requests': onPath(
    (node, world) => (node.path.lostRequests = between(world.random, 0.1, 0.9)),
    (node) => (node.path.lostRequests = 0),
  ),
  'lost replies': onPath(
    (node, world) => (node.path.lostReplies = between(world.random, 0.1, 0.9)),
    (node) => (node.path.lostReplies = 0),
  ),
  'slow calls': onPath(
    (node, world) => (node.path.delayMs = between(world.random, 50, 3000)),
    (node) => (node.path.delayMs = healthyPath().delayMs),
  ),
  refusals: onPath(
    (node, world) =>
      (node.path.errors = { kind: pick(world.random, refusals), share: between(world.random, 0.3, 1) }),
    (node) => (node.path.errors = undefined),
  ),
  'watch gap': onPath(
    (node) => (node.path.watchGap = true),
    (node) => {
      node.path.watchGap = false;
      node.resyncWatch();
    },
  ),
  'slow watch': onPath(
    (node, world) => (node.path.watchLagMs = between(world.random, 50, 4000)),
    (node) => (node.path.watchLagMs = healthyPath().watchLagMs),
  ),
  'API server away': (world, _node, ms) => {
    const how = pick(world.random, ['refused', 'black-hole'] as const);
    for (const node of world.nodes) cut(node, how);
    world.timeline.in(ms, () => {
      for (const node of world.nodes) join(node);
    });
  },
  'lease deleted': (world) => {
    world.disturb();
    world.lease.delete();
  },
  'lease stolen by a stranger': (world) => {
    overwrite(world, 'stranger');
  },
  'holder overwritten by hand': (world, node) => {
    overwrite(world, node.identity);
  },
  'holder cleared by hand': (world) => {
    overwrite(world, '');
  },
  'lease annotated': (world) => {
    const { current } = world.lease;
    if (current !== undefined) world.lease.put(current.record, { touched: String(world.timeline.now) });
  },
  resign: (world, node) => {
    node.resign(between(world.random, 0, 3000));
  },
  recheck: (_world, node) => {
    node.recheck();
  },
};

function overwrite(world: World, holderIdentity: string): void {
  const { current } = world.lease;
  if (current?.record.holderIdentity === holderIdentity) return;
  world.disturb();
  const time = microTime(1.7e12 + world.timeline.now);
  world.lease.put({
    holderIdentity,
    leaseDurationSeconds: world.timings.leaseDurationMs / 1000,
    acquireTime: time,
    renewTime: time,
    leaseTransitions: (current?.record.leaseTransitions ?? 0) + 1,
  });
}
