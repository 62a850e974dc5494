import type { Ip } from '../lib/ip.ts';
import type { Holding } from '../node/types.ts';
import type { Advert } from './judge.ts';
import type { Notices } from './notices.ts';
import type { Published } from './publisher.ts';
import { ingressOf, type WantedStatus } from './status-writer.ts';
import type { ServiceKey, ServicesObserver, ServicesOptions } from './types.ts';

/** Where the holder reports what it does. */
export interface StatusSink {
  want(key: ServiceKey, wanted: WantedStatus): void;
  drop(key: ServiceKey): void;
}

export interface ReportingParts {
  readonly status: StatusSink;
  readonly notices: Notices;
  readonly observer: ServicesObserver;
}

/** What the holder of a Service tells others: its status, and where it is provided. Never before the network is served. */
export class Reporting {
  private readonly parts: ReportingParts;
  private readonly options: ServicesOptions;
  /** Statuses to be written after this turn. */
  private readonly wanted = new Map<ServiceKey, WantedStatus>();
  /** VIPs that are wanted on the node and not there, and why. */
  private readonly held = { rules: new Map<Ip, string>(), link: new Map<Ip, string>() };

  constructor(parts: ReportingParts, options: ServicesOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** Nothing leads to this VIP on this node for now, for this reason; undefined: that is over. */
  heldBack(vip: Ip, by: Holding, problem: string | undefined): void {
    if (problem === undefined) this.held[by].delete(vip);
    else this.held[by].set(vip, problem);
  }

  /** This node advertises the Service. */
  carried({ entry, lease, elsewhere }: Advert, { places }: Published): void {
    const { claim, key, service } = entry;
    const vips: Ip[] = [];
    for (const { vip } of places) {
      const by = this.held.rules.has(vip) ? 'rules' : 'link';
      const problem = this.held[by].get(vip);
      if (problem === undefined) vips.push(vip);
      else this.parts.notices.heldBack(entry, vip, by, problem);
    }
    this.parts.observer.provides?.(key, vips);
    if (vips.length === 0) {
      this.wanted.delete(key);
      this.parts.status.drop(key);
      return;
    }
    if (!this.options.writeStatus) return;
    const { everyNode, globalLease, node, reach } = this.options;
    // Several nodes write, each of which may serve one family only: all of them say the same.
    const isOneOfMany = everyNode && lease === globalLease && claim.kind === 'claim';
    const isKnown = (vip: Ip): boolean =>
      elsewhere.includes(vip) || places.some((place) => place.vip === vip);
    const shown = isOneOfMany ? claim.addresses.filter(isKnown) : vips;
    // With routes, and with peers that every node tells of it, a VIP has no single host.
    const isAlone = reach === 'layer2' || (reach === 'bgp' && lease !== globalLease);
    this.wanted.set(key, { ingress: ingressOf(service, shown), vipHost: isAlone ? node : undefined });
  }

  /** This node advertises it no more. */
  ceased(key: ServiceKey): void {
    this.wanted.delete(key);
    this.parts.status.drop(key);
    this.parts.observer.provides?.(key, []);
  }

  /** Once the network is served. */
  flush(): void {
    this.wanted.forEach((wanted, key) => this.parts.status.want(key, wanted));
    this.wanted.clear();
  }
}
