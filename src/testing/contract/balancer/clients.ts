import assert from 'node:assert/strict';
import type { Ip } from '../../../lib/ip.ts';
import type { ForwardingSpec } from '../../../node/forwarding/index.ts';
import { closing } from '../closing.ts';
import type { BalancerSubject, ClientConnection, Place } from './subject.ts';

/** Opens this many connections, a few at a time, and closes them; how many each server got. */
export async function spread(
  subject: BalancerSubject,
  from: Place,
  vip: Ip,
  port: number,
  count: number,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left--;
      const connection = await subject.connect(from, vip, port);
      counts.set(connection.server, (counts.get(connection.server) ?? 0) + 1);
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  return counts;
}

/** The counts of the three servers, in order. */
export function shares(counts: ReadonlyMap<string, number>): readonly number[] {
  return [1, 2, 3].map((n) => counts.get(`server${n}`) ?? 0);
}

/** One connection to each server, by opening some until there is one; the others are closed. */
export async function oneToEach(
  subject: BalancerSubject,
  vip: Ip,
  port: number,
): Promise<ReadonlyMap<string, ClientConnection>> {
  const found = new Map<string, ClientConnection>();
  for (let n = 0; n < 30 && found.size < 3; n++) {
    const connection = await subject.connect('client', vip, port);
    if (found.has(connection.server)) connection.close();
    else found.set(connection.server, connection);
  }
  assert.deepEqual([...found.keys()].sort(), ['server1', 'server2', 'server3']);
  return found;
}

export function connectionTo(
  connections: ReadonlyMap<string, ClientConnection>,
  server: string,
): ClientConnection {
  const found = connections.get(server);
  assert.ok(found, `a connection to ${server}`);
  return found;
}

/** How a connection ended, or that it did not within the patience of a busy machine. */
export async function howEnded(connection: ClientConnection): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('still there'), 30_000);
  });
  const how = await Promise.race([connection.ended, patience]);
  clearTimeout(timer);
  return how;
}

/** Publishes and waits until all of it is ready. */
export async function publish(subject: BalancerSubject, specs: readonly ForwardingSpec[]): Promise<void> {
  subject.forwarding.set(specs);
  await ready(subject);
}

export async function ready(subject: BalancerSubject): Promise<void> {
  await subject.until('all specs are ready', () => {
    const failed = subject.forwarding.status().specs.find(({ state }) => state.state === 'failed');
    assert.equal(failed, undefined, JSON.stringify(failed));
    return subject.forwarding.status().specs.every(({ state }) => state.state === 'ready');
  });
}

/** The error code with which connecting fails. */
export async function refusedWith(subject: BalancerSubject, vip: Ip, port: number): Promise<string> {
  try {
    const connection = await subject.connect('client', vip, port);
    connection.close();
    return `connected to ${connection.server}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Runs a test with a fresh subject. */
export const withBalancer = closing<BalancerSubject>;
