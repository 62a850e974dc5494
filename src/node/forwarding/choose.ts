import type { BalancerBackend, ForwardingMethod } from './types.ts';

/** What this node can do, as found at the start. */
export interface BalancerFacts {
  /** Undefined: the kernel has IPVS. Otherwise why not. */
  readonly ipvsMissing: string | undefined;
  readonly nftablesMissing: string | undefined;
  /** IPVS services that are not for our VIPs: kube-proxy in IPVS mode, which removes what it does not know. */
  readonly foreignServices: number;
  readonly methods: readonly ForwardingMethod[];
}

export interface Choice {
  readonly backend: BalancerBackend;
  readonly reason: string;
}

/** Methods that only IPVS has. */
const ipvsOnly: readonly ForwardingMethod[] = ['tunnel', 'bypass'];

/** Which back-end to use for `lb_backend`, or why there is none. Pure. */
export function chooseBackend(
  wanted: 'auto' | BalancerBackend,
  facts: BalancerFacts,
): Choice | { readonly refused: string } {
  const { ipvsMissing, nftablesMissing, foreignServices } = facts;
  const special = facts.methods.find((method) => ipvsOnly.includes(method));
  if (wanted === 'ipvs' || special !== undefined) {
    if (wanted === 'nftables')
      return { refused: `the forwarding method ${special ?? ''} needs IPVS: set lb_backend to auto or ipvs` };
    if (ipvsMissing !== undefined) return { refused: ipvsMissing };
    const because =
      wanted === 'ipvs' ? 'lb_backend is ipvs' : `only IPVS has the forwarding method ${special ?? ''}`;
    return { backend: 'ipvs', reason: because };
  }
  if (wanted === 'nftables') {
    return nftablesMissing === undefined
      ? { backend: 'nftables', reason: 'lb_backend is nftables' }
      : { refused: nftablesMissing };
  }
  // IPVS that somebody else uses is left to them: kube-proxy removes services it does not know.
  if (ipvsMissing === undefined && foreignServices === 0) {
    return { backend: 'ipvs', reason: 'the kernel has IPVS and nobody else uses it' };
  }
  if (nftablesMissing === undefined) {
    const instead = ipvsMissing ?? `IPVS holds ${foreignServices} services of somebody else`;
    return { backend: 'nftables', reason: instead };
  }
  if (ipvsMissing === undefined) {
    const owners = `${foreignServices} services of somebody else`;
    return { backend: 'ipvs', reason: `IPVS holds ${owners}, but ${nftablesMissing}` };
  }
  return { refused: `${ipvsMissing}; ${nftablesMissing}` };
}
