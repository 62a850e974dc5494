import type { Random } from '../../src/lib/clock.ts';

/** A Service as its users want it now. Nothing here comes from the cluster, so a seed says what happens. */
export interface Wish {
  readonly name: string;
  /** Of its addresses; undefined: it is given one (svc_ipam). */
  vip: number | undefined;
  /** With an IPv6 address beside the IPv4 one. */
  dual: boolean;
  policy: 'Cluster' | 'Local';
  /** Names of the nodes that have an endpoint. */
  nodes: readonly string[];
  /** Annotation leaseName. */
  lease: string | undefined;
  port: number;
  /** Type LoadBalancer, and not annotated to be ignored. */
  isOurs: boolean;
}

/** VIPs of Services by number: those that users name, and those that are given out. */
export const ownVips = { first: 1, count: 8 } as const;
export const pooledVips = { first: 20, count: 12 } as const;

/** What the users of the cluster want. */
export class Model {
  readonly services = new Map<string, Wish>();
  #made = 0;

  /** A name that no Service had before, and a port of its own. */
  next(): { readonly name: string; readonly port: number } {
    this.#made++;
    return { name: `s${this.#made}`, port: 1000 + (this.#made % 30_000) };
  }

  any(random: Random): Wish | undefined {
    const all = [...this.services.values()];
    return all[Math.floor(random() * all.length)];
  }

  /** Others with the same address. */
  sharers({ name, vip }: Wish): readonly Wish[] {
    return vip === undefined
      ? []
      : [...this.services.values()].filter((other) => other.vip === vip && other.name !== name);
  }

  /** May it have policy Local? Those that share a VIP must agree, and so must those that share a lease. */
  mayBeLocal(wish: Wish): boolean {
    return this.sharers(wish).length === 0;
  }

  freeVip(random: Random): number | undefined {
    const taken = new Set([...this.services.values()].map(({ vip }) => vip));
    const all = Array.from({ length: ownVips.count }, (_, i) => ownVips.first + i);
    const free = all.filter((vip) => !taken.has(vip));
    return free[Math.floor(random() * free.length)];
  }
}

/** Is there a node on which it may be? */
export function isServed(wish: Wish): boolean {
  return wish.isOurs && wish.nodes.length > 0;
}
