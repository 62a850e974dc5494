import type { Ip } from '../../../lib/ip.ts';
import { inPlaces } from '../slots.ts';
import { isHashed, slotsOf, type Service } from './service.ts';

/** Who has which turn, and how many turns there were at most. */
interface Round {
  readonly order: readonly Ip[];
  readonly places: number;
}

/**
 * Where clients are spread by turns, servers keep theirs from change to change: then little of the rules
 * changes with one of them. Where a hash of the client decides, all nodes must have the same order.
 */
export class Places {
  private readonly rounds = new Map<string, Round>();

  settle(service: Service): Service {
    if (isHashed(service.scheduler)) return service;
    const before = this.rounds.get(service.name);
    const active = service.servers.filter(({ state }) => state === 'active');
    const named = active.map((server) => ({ id: server.address, server }));
    const settled = inPlaces(before?.order ?? [], named);
    const servers = [
      ...settled.map(({ server }) => server),
      ...service.servers.filter(({ state }) => state !== 'active'),
    ];
    const places = Math.max(before?.places ?? 0, slotsOf(service.scheduler, settled).length);
    this.rounds.set(service.name, { order: settled.map(({ id }) => id), places });
    return { ...service, servers, places };
  }

  /** Forgets all but these. */
  keep(services: Iterable<Pick<Service, 'name'>>): void {
    const names = new Set(Array.from(services, ({ name }) => name));
    for (const name of this.rounds.keys()) if (!names.has(name)) this.rounds.delete(name);
  }
}
