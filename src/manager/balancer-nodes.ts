import { CONTROL_PLANE_LABEL, discover } from '../control-plane/index.ts';
import { createReflector, nodes, type KubeObject, type NodeObject } from '../kube/index.ts';
import { familyOf, ip, type Ip } from '../lib/ip.ts';
import type { Parts } from './parts.ts';

/** Follows the control-plane Nodes until the signal aborts: `tell` gets all of them with each change. */
export function followNodes(
  { api, clock, log, random }: Parts,
  signal: AbortSignal,
  tell: (all: readonly NodeObject[]) => void,
): void {
  const changed = (): void => {
    tell([...reflector.items.values()]);
  };
  const reflector = createReflector<NodeObject>(
    { client: api.client, clock, random, log },
    {
      resource: nodes,
      labelSelector: CONTROL_PLANE_LABEL,
      map: projectNode,
      listener: { synced: changed, changed, removed: changed },
    },
  );
  void reflector.run(signal);
}

/** Where the API server of this node is reached, in the families of the VIPs. */
export function addressesOf(
  all: readonly NodeObject[],
  identity: string,
  vips: readonly Ip[],
): readonly Ip[] {
  const own = all.filter(({ metadata }) => metadata.name?.toLowerCase() === identity);
  return [...new Set(vips.map(familyOf))].flatMap((family) =>
    discover(own, family, vips).candidates.map(({ address }) => address),
  );
}

/** Where those of the other nodes are reached, in the family of the first VIP. */
export function otherAddresses(
  all: readonly NodeObject[],
  identity: string,
  vips: readonly Ip[],
): readonly Ip[] {
  const family = familyOf(vips[0] ?? ip('127.0.0.1'));
  const others = discover(all, family, vips).candidates.filter(({ node }) => node.toLowerCase() !== identity);
  return others.map(({ address }) => address);
}

/** A Node's name, label, addresses and readiness; the rest of it is large and not needed. */
function projectNode(raw: KubeObject): NodeObject {
  const { metadata, status } = raw as NodeObject;
  const { name, labels, resourceVersion, deletionTimestamp } = metadata;
  const marked = labels?.[CONTROL_PLANE_LABEL] === undefined ? {} : { labels: { [CONTROL_PLANE_LABEL]: '' } };
  return {
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...marked,
    },
    status: {
      addresses: status?.addresses ?? [],
      conditions: (status?.conditions ?? []).filter(({ type }) => type === 'Ready'),
    },
  };
}
