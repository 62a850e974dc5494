import { familyOf, parseIp, whyUnreachable, type Family, type Ip } from '../../lib/ip.ts';
import type { NodeObject } from '../../kube/types.ts';

/** Its presence marks a control-plane node; the value does not matter. */
export const CONTROL_PLANE_LABEL = 'node-role.kubernetes.io/control-plane';

export interface Candidate {
  readonly node: string;
  readonly address: Ip;
}

export interface Discovery {
  /** Sorted by address. */
  readonly candidates: readonly Candidate[];
  /** None of them is ready: they are the last resort. */
  readonly areUnready: boolean;
}

/**
 * The API servers that may serve a VIP of this family: InternalIPs of ready control-plane nodes. When none is
 * ready, those of all: a kubelet that is not ready says little about the API server beside it, and a network that is
 * not installed yet, or broken everywhere, must not take the API away with which it is mended. The probes tell.
 *
 * @param vips never servers, although a kubelet that finds its address by itself may report one as its Node's.
 */
export function discover(nodes: Iterable<NodeObject>, family: Family, vips: readonly Ip[]): Discovery {
  const all = [...nodes].filter(mayServe).map((node) => ({
    node,
    found: addressesOf(node, family).filter(({ address }) => !vips.includes(address)),
  }));
  const ready = all.filter(({ node }) => isReady(node)).flatMap(({ found }) => found);
  const areUnready = ready.length === 0;
  const candidates = areUnready ? all.flatMap(({ found }) => found) : ready;
  return {
    candidates: candidates.sort((a, b) => (a.address < b.address ? -1 : 1)),
    areUnready: areUnready && candidates.length > 0,
  };
}

function mayServe({ metadata }: NodeObject): boolean {
  return metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined && metadata.deletionTimestamp === undefined;
}

function addressesOf({ metadata, status }: NodeObject, family: Family): readonly Candidate[] {
  return (status?.addresses ?? []).flatMap(({ type, address: text }) => {
    const address = type === 'InternalIP' ? parseIp(text) : undefined;
    if (address === undefined || familyOf(address) !== family) return [];
    // Loopback: the holder's own API server would answer the probe, and no client.
    if (whyUnreachable(address) !== undefined) return [];
    return [{ node: metadata.name ?? '', address }];
  });
}

function isReady(node: NodeObject): boolean {
  return (node.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
}
