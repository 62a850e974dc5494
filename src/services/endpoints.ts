import type { Endpoint, EndpointSlice } from './types.ts';

/** How many endpoints serve a Service, over all its slices and both families. */
export interface EndpointCount {
  readonly anywhere: number;
  readonly onThisNode: number;
  /** On this node and not terminating. */
  readonly staying: number;
  readonly stayingElsewhere: number;
}

/**
 * Counts what can serve. A terminating endpoint that still serves counts, so that a roll-out does not
 * lose its last one early; conditions that are not set mean yes (EndpointSlice API: nil `ready` and
 * nil `serving` are to be read as true).
 */
export function countEndpoints(slices: Iterable<EndpointSlice>, node: string): EndpointCount {
  let anywhere = 0;
  let onThisNode = 0;
  let staying = 0;
  let stayingElsewhere = 0;
  for (const slice of slices) {
    for (const endpoint of slice.endpoints ?? []) {
      if (!serves(endpoint)) continue;
      const isHere = isOn(endpoint, node);
      const stays = endpoint.conditions?.terminating !== true;
      anywhere += 1;
      if (isHere) onThisNode += 1;
      if (isHere && stays) staying += 1;
      if (!isHere && stays) stayingElsewhere += 1;
    }
  }
  return { anywhere, onThisNode, staying, stayingElsewhere };
}

function serves({ addresses, conditions }: Endpoint): boolean {
  if ((addresses ?? []).length === 0) return false;
  return conditions?.serving ?? conditions?.ready ?? true;
}

/** Node names are compared without case: the identity of this program is lower-cased. */
function isOn({ nodeName, hostname }: Endpoint, node: string): boolean {
  return (nodeName ?? hostname ?? '').toLowerCase() === node;
}
