import type { Lab } from '../lab.ts';
import type { Machine } from '../machine.ts';
import { addNamespaces, deleteNamespaces, ipBatch, setSysctls } from '../netns.ts';
import type { PodAddresses } from './types.ts';

/** For `--cluster-cidr`: the pod networks of all nodes. */
export const clusterCidrs = '10.244.0.0/16,fd00:244::/32';

/** Every pod's gateway; no link has it, a fixed neighbour entry stands in (as Calico does it). */
const gateway = '169.254.1.1';

/** In the form that the API wants: zeros left out. */
function prefix6(index: number): string {
  return index === 0 ? 'fd00:244::' : `fd00:244:${index.toString(16)}::`;
}

/** The end of a pod's cable: on the node, and in the pod. */
export interface PodLink {
  readonly node: Machine;
  readonly namespace: string;
  readonly device: string;
  readonly addresses: PodAddresses;
}

const forwarding = { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 };

const podSysctls = {
  'net.ipv4.conf.all.rp_filter': 0,
  'net.ipv4.conf.default.rp_filter': 0,
  'net.ipv6.conf.all.disable_ipv6': 0,
  'net.ipv6.conf.default.disable_ipv6': 0,
  'net.ipv6.conf.default.accept_ra': 0,
};

/**
 *   node cp1, eth0 10.77.0.11                     node cp2, eth0 10.77.0.12
 *    ├─ pod1 ⟷ eth0 10.244.0.2  in KV…-pod1        └─ pod3 ⟷ eth0 10.244.1.2  in KV…-pod3
 *    └─ pod2 ⟷ eth0 10.244.0.3  in KV…-pod2       route 10.244.0.0/24 via 10.77.0.11
 *
 * Cables without a bridge: also what goes from pod to pod on one node is routed, so kube-proxy's rules see it.
 */
export class PodNetwork {
  readonly #lab: Lab;
  readonly #lastHost = new Map<string, number>();
  #lastPod = 0;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** The networks a node's pods have their addresses from, as `spec.podCIDRs` has them. */
  cidrsOf(node: Machine): readonly [string, string] {
    const index = this.#lab.nodes.indexOf(node);
    return [`10.244.${index}.0/24`, `${prefix6(index)}/64`];
  }

  /** Routing and the ways to the other nodes' pods; again after the node was without power. */
  async prepare(node: Machine): Promise<void> {
    await setSysctls(node.namespace, forwarding);
    const others = this.#lab.nodes.filter((other) => other !== node);
    await node.ip(
      ...others.flatMap((other) => {
        const [cidr4, cidr6] = this.cidrsOf(other);
        return [`route replace ${cidr4} via ${other.ipv4}`, `route replace ${cidr6} via ${other.ipv6}`];
      }),
    );
  }

  /** A namespace with an address on the node's pod network. */
  async attach(node: Machine): Promise<PodLink> {
    const index = this.#lab.nodes.indexOf(node);
    const number = ++this.#lastPod;
    const host = (this.#lastHost.get(node.name) ?? 1) + 1;
    if (host > 254) throw new Error(`the pod network of ${node.name} is used up`);
    this.#lastHost.set(node.name, host);
    const addresses = { ipv4: `10.244.${index}.${host}`, ipv6: `${prefix6(index)}${host.toString(16)}` };
    const device = `pod${number}`;
    const namespace = `${this.#lab.id}-${device}`;
    const mac = `02:6b:76:fe:${(number >> 8).toString(16).padStart(2, '0')}:${(number & 255).toString(16).padStart(2, '0')}`;
    this.#lab.registry.addNamespaces([namespace]);
    await addNamespaces([namespace]);
    await setSysctls(namespace, podSysctls);
    await node.ip(
      `link add ${device} address ${mac} type veth peer name eth0 netns ${namespace}`,
      `link set ${device} up`,
      `addr add fe80::1/64 dev ${device} nodad`,
      // Without the source it would be the first address of any link, perhaps a VIP.
      `route replace ${addresses.ipv4} dev ${device} src ${node.ipv4}`,
      `route replace ${addresses.ipv6} dev ${device}`,
    );
    await ipBatch(namespace, [
      'link set lo up',
      'link set eth0 up',
      `addr add ${addresses.ipv4}/32 dev eth0`,
      `addr add ${addresses.ipv6}/128 dev eth0 nodad`,
      `route add ${gateway} dev eth0 scope link`,
      `neigh replace ${gateway} lladdr ${mac} dev eth0 nud permanent`,
      `route add default via ${gateway}`,
      'route add default via fe80::1 dev eth0',
    ]);
    return { node, namespace, device, addresses };
  }

  /** The namespace goes, and its cable with it. Nothing may run in it any more. */
  async detach(link: PodLink): Promise<void> {
    await deleteNamespaces([link.namespace]);
    // The namespace lives on for as long as sockets of its dead processes do, and the cable with it.
    await link.node.tryRun('ip', ['link', 'del', link.device]);
  }
}
