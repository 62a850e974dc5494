import { createHash } from 'node:crypto';

/** More slots than this are not worth their memory: weights are rounded to fit. */
const maxSlots = 256;
/** A prime well above the number of real servers (Eisenbud et al., "Maglev", NSDI 2016, 3.4). */
const hashSlots = 251;

export interface Weighted {
  /** Anything that stays the same while the server does. */
  readonly id: string;
  readonly weight: number;
}

/**
 * The servers in the order in which connections go to them, as a round that repeats. Each is there as
 * often as its weight says, spread as evenly as possible (smooth weighted round robin).
 */
export function roundRobinSlots<T extends Weighted>(servers: readonly T[]): readonly T[] {
  const weights = smallestWeights(servers.map(({ weight }) => weight));
  if (weights.every((weight) => weight === 1)) return servers;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const credit = weights.map(() => 0);
  const slots: T[] = [];
  for (let n = 0; n < total; n++) {
    let best = 0;
    weights.forEach((weight, i) => {
      credit[i] = (credit[i] ?? 0) + weight;
      if ((credit[i] ?? 0) > (credit[best] ?? 0)) best = i;
    });
    credit[best] = (credit[best] ?? 0) - total;
    const server = servers[best];
    if (server !== undefined) slots.push(server);
  }
  return slots;
}

/** The same proportions in the smallest numbers; 0 stays 0, and nothing else becomes 0. */
function smallestWeights(weights: readonly number[]): readonly number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const fitting =
    total <= maxSlots
      ? weights
      : weights.map((weight) => (weight === 0 ? 0 : Math.max(1, Math.floor((weight * maxSlots) / total))));
  const divisor = fitting.reduce(greatestCommonDivisor, 0);
  return divisor > 1 ? fitting.map((weight) => weight / divisor) : fitting;
}

/**
 * The servers in an order in which nearly everybody is where they were: those that are new take the places
 * of those that went, or come last, and the last ones fill the places that are still free.
 */
export function inPlaces<T extends Pick<Weighted, 'id'>>(
  before: readonly string[],
  servers: readonly T[],
): readonly T[] {
  const waiting = new Map(servers.map((server) => [server.id, server]));
  const places = before.map((id) => {
    const server = waiting.get(id);
    waiting.delete(id);
    return server;
  });
  const newcomers = [...waiting.values()];
  const settled: T[] = [];
  for (let place = 0; place < places.length; place++) {
    let server = places[place] ?? newcomers.shift();
    while (server === undefined && places.length > place + 1) server = places.pop();
    if (server !== undefined) settled.push(server);
  }
  return [...settled, ...newcomers];
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * Maglev's table: a hash of the client picks a slot, and when a server comes or goes nearly all other
 * slots keep theirs. The same servers give the same table on every node.
 */
export function hashedSlots<T extends Weighted>(servers: readonly T[]): readonly T[] {
  const usable = servers.filter(({ weight }) => weight > 0);
  const heaviest = Math.max(...usable.map(({ weight }) => weight));
  const players = usable.map((server) => ({ server, ...preferences(server.id), turn: 0, credit: 0 }));
  const slots = new Array<T | undefined>(hashSlots).fill(undefined);
  let filled = 0;
  while (filled < hashSlots && players.length > 0) {
    for (const player of players) {
      // A lighter server has its turn less often.
      player.credit += player.server.weight / heaviest;
      if (player.credit < 1 || filled === hashSlots) continue;
      player.credit -= 1;
      let slot: number;
      do slot = (player.offset + player.turn++ * player.skip) % hashSlots;
      while (slots[slot] !== undefined);
      slots[slot] = player.server;
      filled++;
    }
  }
  return slots.flatMap((server) => server ?? []);
}

/** Where in the table a server would like to be first, and in which steps it goes on from there. */
function preferences(id: string): { readonly offset: number; readonly skip: number } {
  const digest = createHash('sha256').update(id).digest();
  return { offset: digest.readUInt32BE(0) % hashSlots, skip: (digest.readUInt32BE(4) % (hashSlots - 1)) + 1 };
}
