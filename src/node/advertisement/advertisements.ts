import { hostLength, type Ip, type Prefix } from '../../lib/ip.ts';
import type { AddressReconciler } from '../address/reconciler.ts';
import { keyOf, ofKind, type Keyed, type SpecBook, type SpecKey } from '../spec-book.ts';
import type { AdvertisementSpec, SpecState } from '../types.ts';
import type { Advertiser } from './speaker.ts';
import type { RoutesView } from './types.ts';

export interface AdvertisementsParts {
  readonly book: SpecBook;
  readonly addresses: Pick<AddressReconciler, 'records'>;
  readonly advertiser: Advertiser;
}

/**
 * Which VIPs the BGP peers should know: those that somebody wants advertised, whose fence holds, and that are
 * usable on their link where an address there is wanted too. Each is a host route, whatever `vip_subnet` says.
 */
export class Advertisements implements RoutesView {
  private readonly parts: AdvertisementsParts;
  private readonly keysOf = new Map<Ip, Set<SpecKey>>();

  constructor(parts: AdvertisementsParts) {
    this.parts = parts;
    parts.advertiser.follow(this);
  }

  all(): readonly Prefix[] {
    return [...this.keysOf.keys()].map(prefixOf).filter((prefix) => this.wants(prefix));
  }

  wants({ address }: Prefix): boolean {
    return [...(this.keysOf.get(address) ?? [])].some((key) => this.obstacle(key) === undefined);
  }

  /** Of these, what nobody wants any more is withdrawn when this returns: before its address goes. */
  specsUnwanted(changed: readonly Keyed[]): void {
    const gone = ofKind(changed, 'advertisement').filter(({ key }) => !this.parts.book.has(key));
    for (const each of gone) this.forget(each);
    this.tell(gone.map(({ spec }) => spec.vip));
  }

  /** The others, once their addresses had their turn. */
  specsWanted(changed: readonly Keyed[]): void {
    const wanted = ofKind(changed, 'advertisement').filter(({ key }) => this.parts.book.has(key));
    for (const each of wanted) this.remember(each);
    this.tell(wanted.map(({ spec }) => spec.vip));
  }

  /** The VIP became usable, or no longer is. */
  addressChanged(vip: Ip): void {
    if (this.keysOf.has(vip)) this.tell([vip]);
  }

  /** Much may have changed. */
  lookAgain(): void {
    this.tell([...this.keysOf.keys()]);
  }

  stateOf(key: SpecKey, vip: Ip): SpecState {
    const obstacle = this.obstacle(key);
    if (obstacle !== undefined) return { state: 'waiting', reason: obstacle };
    const { knowing } = this.parts.advertiser.reach(prefixOf(vip));
    return knowing > 0 ? { state: 'ready' } : { state: 'waiting', reason: 'a BGP session that carries it' };
  }

  /** What stands between this spec and the peers; undefined when nothing on this node does. */
  private obstacle(key: SpecKey): string | undefined {
    const { book, addresses } = this.parts;
    const wanted = book.advertisement(key);
    if (wanted === undefined) return 'its turn';
    if (!wanted.mayAdvertise()) return 'the lease is not held';
    const address = keyOf({ kind: 'address', link: wanted.link, vip: wanted.vip });
    const isMissing = book.has(address) && addresses.records.get(address)?.ready !== true;
    return isMissing ? 'its address' : undefined;
  }

  private tell(vips: readonly Ip[]): void {
    this.parts.advertiser.changed([...new Set(vips)].map(prefixOf));
  }

  private remember({ key, spec }: Keyed<AdvertisementSpec>): void {
    const keys = this.keysOf.get(spec.vip) ?? new Set();
    this.keysOf.set(spec.vip, keys.add(key));
  }

  private forget({ key, spec }: Keyed<AdvertisementSpec>): void {
    const keys = this.keysOf.get(spec.vip);
    keys?.delete(key);
    if (keys?.size === 0) this.keysOf.delete(spec.vip);
  }
}

function prefixOf(vip: Ip): Prefix {
  return { address: vip, length: hostLength(vip) };
}
