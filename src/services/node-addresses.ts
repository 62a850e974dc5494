import type { KubeObject, NodeObject, ReflectorListener } from '../kube/types.ts';
import { familyOf, parseIp, type Ip } from '../lib/ip.ts';

/** The name and addresses of a Node; the rest of it is large and not needed. */
export function projectNodeAddresses(raw: KubeObject): NodeObject {
  const { metadata, status } = raw as NodeObject;
  const { name, resourceVersion } = metadata;
  return {
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    status: { addresses: (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP') },
  };
}

/**
 * The addresses by which the other nodes are known to the cluster: no Service may have one. Only the
 * first of each family counts, for a cloud's controller may list a VIP among those that follow.
 */
export class NodeAddresses {
  private readonly ownName: string;
  private readonly changed: (addresses: readonly Ip[]) => void;
  private readonly nodesBy = new Map<Ip, string>();

  /** `ownName`: lower case. `changed`: these addresses became a node's, or no longer are. */
  constructor(ownName: string, changed: (addresses: readonly Ip[]) => void) {
    this.ownName = ownName;
    this.changed = changed;
  }

  /** The node that has this address. */
  nodeOf(address: Ip): string | undefined {
    return this.nodesBy.get(address);
  }

  readonly listener: ReflectorListener<NodeObject> = {
    changed: (name, now, before) => {
      this.update(name, addressesOf(now), before === undefined ? [] : addressesOf(before));
    },
    removed: (name, before) => {
      this.update(name, [], addressesOf(before));
    },
  };

  private update(name: string, now: readonly Ip[], before: readonly Ip[]): void {
    // What this machine has, it knows itself.
    if (name.toLowerCase() === this.ownName || now.join() === before.join()) return;
    for (const address of before) if (this.nodesBy.get(address) === name) this.nodesBy.delete(address);
    for (const address of now) this.nodesBy.set(address, name);
    this.changed([...new Set([...before, ...now])]);
  }
}

function addressesOf({ status }: NodeObject): readonly Ip[] {
  const all = (status?.addresses ?? []).flatMap(({ address }) => parseIp(address) ?? []);
  return ([4, 6] as const).flatMap((family) => all.find((address) => familyOf(address) === family) ?? []);
}
