import type { Ip } from '../../lib/ip.ts';
import { errnoOf } from '../../linux/errors.ts';
import { describeNeighbour } from '../../linux/objects.ts';
import type { Neighbour } from '../../linux/types.ts';
import { refuse, type FakeWorld } from './world.ts';

/** The neighbour table: one entry for each link and address. */
export class FakeNeighbours {
  private readonly entries = new Map<string, Neighbour>();
  private readonly world: FakeWorld;

  constructor(world: FakeWorld) {
    this.world = world;
  }

  all(): readonly Neighbour[] {
    return [...this.entries.values()];
  }

  set(neighbour: Neighbour): void {
    this.entries.set(idOf(neighbour.ifindex, neighbour.address), neighbour);
    this.world.events.emit({ kind: 'neighbour', change: 'set', neighbour });
  }

  /** Throws KernelError `gone` when there is no such entry. */
  remove(ifindex: number, address: Ip): void {
    const id = idOf(ifindex, address);
    const neighbour = this.entries.get(id);
    if (neighbour === undefined)
      refuse('remove neighbour', errnoOf.ENOENT, describeNeighbour({ ifindex, address }));
    this.entries.delete(id);
    this.world.events.emit({ kind: 'neighbour', change: 'gone', neighbour });
  }
}

function idOf(ifindex: number, address: Ip): string {
  return `${ifindex} ${address}`;
}
