import type { Endpoint, EndpointSlice } from './types.ts';

/** How many endpoints serve a Service, over all its slices and both families. */
export interface EndpointCount {
  readonly anywhere: number;
  readonly onThisNode: number;
  /** On this node and not terminating. */
  readonly staying: number;
  /** On other nodes that are settled. */
  readonly servingElsewhere: number;
  /** On other nodes that may take it over, and not terminating. */
  readonly stayingElsewhere: number;
}

/**
 * Counts what can serve. A terminating endpoint that still serves counts, so that a roll-out does not
 * lose its last one early; conditions that are not set mean yes (EndpointSlice API: nil `ready` and
 * nil `serving` are to be read as true).
 */
export function countEndpoints(
  slices: Iterable<EndpointSlice>,
  node: string,
  isSettled: (node: string) => boolean = () => true,
  mayTake = isSettled,
): EndpointCount {
  let anywhere = 0;
  let onThisNode = 0;
  let staying = 0;
  let servingElsewhere = 0;
  let stayingElsewhere = 0;
  for (const slice of slices) {
    for (const endpoint of slice.endpoints ?? []) {
      if (!serves(endpoint, slice)) continue;
      const place = placeOf(endpoint);
      const isHere = place === node;
      const stays = endpoint.conditions?.terminating !== true;
      anywhere += 1;
      if (isHere) onThisNode += 1;
      if (isHere && stays) staying += 1;
      if (isHere) continue;
      if (isSettled(place)) servingElsewhere += 1;
      if (stays && mayTake(place)) stayingElsewhere += 1;
    }
  }
  return { anywhere, onThisNode, staying, servingElsewhere, stayingElsewhere };
}

/** Nodes, lower-cased, that have a serving endpoint. */
export function nodesOf(slices: Iterable<EndpointSlice>): ReadonlySet<string> {
  const nodes = new Set<string>();
  for (const slice of slices)
    for (const endpoint of slice.endpoints ?? []) if (serves(endpoint, slice)) nodes.add(placeOf(endpoint));
  return nodes;
}

/** Those of them whose endpoints stay; where none does, all. */
export function stayingNodes(slices: readonly EndpointSlice[]): ReadonlySet<string> {
  const stays = ({ conditions }: Endpoint): boolean => conditions?.terminating !== true;
  const staying = slices.map((slice) => ({ ...slice, endpoints: (slice.endpoints ?? []).filter(stays) }));
  const nodes = nodesOf(staying);
  return nodes.size > 0 ? nodes : nodesOf(slices);
}

/** Names (FQDN slices) are nothing that kube-proxy forwards to. */
function serves({ addresses, conditions }: Endpoint, { addressType }: EndpointSlice): boolean {
  if ((addresses ?? []).length === 0 || addressType === 'FQDN') return false;
  // Ready without serving: publishNotReadyAddresses, and kube-proxy sends connections there.
  return conditions?.ready === true || (conditions?.serving ?? conditions?.ready ?? true);
}

/** Node names are compared without case: the identity of this program is lower-cased. */
function placeOf({ nodeName, hostname }: Endpoint): string {
  return (nodeName ?? hostname ?? '').toLowerCase();
}
