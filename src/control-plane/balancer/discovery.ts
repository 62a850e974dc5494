import { familyOf, parseIp, type Family, type Ip } from '../../lib/ip.ts';
import type { NodeObject } from '../../kube/types.ts';

/** Its presence marks a control-plane node; the value does not matter. */
export const CONTROL_PLANE_LABEL = 'node-role.kubernetes.io/control-plane';

export interface Candidate {
  readonly node: string;
  readonly address: Ip;
}

/** The API servers that may serve a VIP of this family: InternalIPs of ready control-plane nodes, sorted by address. */
export function discover(nodes: Iterable<NodeObject>, family: Family): Candidate[] {
  const found: Candidate[] = [];
  for (const node of nodes) {
    if (!isReady(node) || node.metadata.labels?.[CONTROL_PLANE_LABEL] === undefined) continue;
    for (const { type, address: text } of node.status?.addresses ?? []) {
      const address = type === 'InternalIP' ? parseIp(text) : undefined;
      if (address === undefined || familyOf(address) !== family) continue;
      found.push({ node: node.metadata.name ?? '', address });
    }
  }
  return found.sort((a, b) => (a.address < b.address ? -1 : 1));
}

function isReady(node: NodeObject): boolean {
  if (node.metadata.deletionTimestamp !== undefined) return false;
  return (node.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
}
