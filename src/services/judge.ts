import { familyOf, type Family, type Ip } from '../lib/ip.ts';
import type { Catalogue, Entry } from './catalogue.ts';
import { gate, isLocal, type Claim, type Snapshot, type Withhold } from './decide.ts';
import { nodesOf, stayingNodes } from './endpoints.ts';
import { familiesAnywhere, servedFamilies } from './families.ts';
import type { Offers } from './offers.ts';
import { placeVip, type LocalView, type Place } from './placement.ts';
import type { Settling } from './settling.ts';
import {
  annotation,
  type EndpointSlice,
  type LeaseKey,
  type ReconcileFailure,
  type ServiceKey,
  type ServicesOptions,
} from './types.ts';

/** A Service that this node may carry: under which lease, and where its VIPs go. */
export interface Advert {
  readonly kind: 'advert';
  readonly entry: Entry;
  readonly lease: LeaseKey;
  readonly places: readonly Place[];
  /** VIPs of families in which other nodes have an endpoint, where every node decides for itself. */
  readonly elsewhere: readonly Ip[];
  /** The nodes whose endpoints let them hold it; undefined: any node. */
  readonly hosts: ReadonlySet<string> | undefined;
}

export type Verdict = Advert | Withhold;

export interface JudgeParts {
  readonly catalogue: Catalogue;
  readonly settling: Settling;
  readonly local: LocalView;
  readonly offers: Offers;
  /** This node advertises it. */
  readonly holds: (key: ServiceKey) => boolean;
  /** A VIP, or all of them, is left out for this reason. */
  readonly withheld: (entry: Entry, why: Withhold) => void;
}

const unmoved = { mayMove: false, isSettled: () => true };

/** Says what this node should do about one Service, as things are now. Changes nothing on the node. */
export class Judge {
  private readonly parts: JudgeParts;
  private readonly options: ServicesOptions;

  constructor(parts: JudgeParts, options: ServicesOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** Undefined when there is no such Service. */
  judge(key: ServiceKey): Verdict | undefined {
    const { catalogue } = this.parts;
    const entry = catalogue.get(key);
    if (entry?.claim.kind !== 'claim') return entry?.claim;
    const { claim, service } = entry;
    const lease = catalogue.leaseFor(entry, claim);
    const mayMove = isLocal(service) && lease !== this.options.globalLease;
    const slices = [...catalogue.slicesOf(key)];
    const obstacle = mayMove
      ? this.moving(key, { service, slices })
      : gate({ service, slices }, this.options.node, unmoved);
    return obstacle ?? this.place(entry, claim, lease, slices);
  }

  /** What the endpoints say where the VIP may move. */
  private moving(key: ServiceKey, now: Snapshot & { readonly slices: readonly EndpointSlice[] }) {
    const { settling, offers, holds } = this.parts;
    const { node } = this.options;
    const isSettled = settling.observe(key, now.slices);
    const mayTake = (other: string): boolean => isSettled(other) && !offers.hadChance(key, other);
    const obstacle = gate(now, node, { mayMove: true, isSettled, mayTake });
    const staying = stayingNodes(now.slices);
    if (obstacle?.reason === 'leaving' && (holds(key) || offers.has(key)))
      offers.make(key, [...staying].filter(isSettled));
    else if (staying.has(node) || !nodesOf(now.slices).has(node)) offers.end(key);
    return obstacle;
  }

  /** VIPs that have no place here are left out; with none left there is nothing to advertise. */
  private place(entry: Entry, claim: Claim, lease: LeaseKey, slices: readonly EndpointSlice[]): Verdict {
    const { everyNode, globalLease, node, reach } = this.options;
    const others = everyNode && lease === globalLease ? familiesAnywhere(slices) : new Set<Family>();
    const served = reach !== 'layer2' ? servedFamilies(entry.service, slices, node) : undefined;
    const places: Place[] = [];
    const elsewhere: Ip[] = [];
    let obstacle: Withhold | undefined;
    for (const vip of claim.addresses) {
      if (served?.has(familyOf(vip)) === false) {
        if (others.has(familyOf(vip))) elsewhere.push(vip);
        obstacle ??= noEndpointsFor(vip);
        continue;
      }
      const link = this.parts.catalogue.linkFor(vip);
      const placed = placeVip(vip, link, this.options, this.parts.local);
      if (placed.kind === 'place') places.push({ ...placed, fromName: claim.fromNames.has(vip) });
      else obstacle ??= { ...placed, message: `${fieldOf(placed, claim, link)}: ${placed.message}` };
    }
    if (obstacle !== undefined) this.parts.withheld(entry, obstacle);
    if (places.length === 0 && obstacle !== undefined) return obstacle;
    const hosts = isLocal(entry.service) && lease !== globalLease ? stayingNodes(slices) : undefined;
    return { kind: 'advert', entry, lease, places, elsewhere, hosts };
  }
}

/** Where a user has to look. */
function fieldOf({ reason }: Withhold, { field }: Claim, link: string | undefined): string {
  if (reason !== 'no-link') return field;
  return link === undefined ? 'vip_servicesinterface or vip_interface' : annotation.interface;
}

function noEndpointsFor(vip: Ip): Withhold {
  const message = `no serving endpoint of the family of ${vip}`;
  return { kind: 'withhold', reason: 'no-endpoints', message };
}

const isConfigFault = new Set<Withhold['reason']>([
  'lease-policy',
  'invalid-lease',
  'not-implemented',
  'invalid-address',
]);

/** The reason under which a verdict is counted as a failure; undefined where it is none. */
export function failureOf(verdict: Verdict | undefined): ReconcileFailure | undefined {
  if (verdict?.kind !== 'withhold') return undefined;
  const { reason } = verdict;
  if (isConfigFault.has(reason)) return 'invalid_config';
  return reason === 'no-link' || reason === 'address-in-use' ? 'new_instance' : undefined;
}
