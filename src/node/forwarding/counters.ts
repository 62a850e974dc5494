import type { ForwardingCounters } from './types.ts';

export type MutableCounters = { -readonly [K in keyof ForwardingCounters]: ForwardingCounters[K] };

export function newCounters(): MutableCounters {
  return { changes: 0, repairs: 0, failures: 0, connectionsCut: 0, clientsReset: 0 };
}
