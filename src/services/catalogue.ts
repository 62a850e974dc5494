import type { Ip } from '../lib/ip.ts';
import { wantedAddresses } from './addresses.ts';
import { conflictsBetween, isOlder, type Claimant, type Conflict } from './conflicts.ts';
import { claimOf, type Claim, type Withhold } from './decide.ts';
import { noNames, type NameView } from '../lib/names.ts';
import { serviceNameLabel } from './project.ts';
import type { Claimed } from './succession.ts';
import type { EndpointSlice, LeaseKey, Service, ServiceKey, ServicesConfig } from './types.ts';

/** One Service and what it asks for. */
export interface Entry {
  readonly key: ServiceKey;
  readonly service: Service;
  readonly claim: Claim | Withhold;
}

/** A claim that names a link. */
export type AskingForLink = Claim & { readonly link: string };

const noSlices: ReadonlyMap<string, EndpointSlice> = new Map();

/**
 * All Services with their EndpointSlices, and who shares an address with whom. An address can be on one
 * node only, so Services that share one, directly or through others, share the lease of the first of them.
 */
export class Catalogue {
  private readonly config: ServicesConfig;
  private readonly names: NameView;
  private readonly entries = new Map<ServiceKey, Entry>();
  private readonly slices = new Map<ServiceKey, Map<string, EndpointSlice>>();
  private readonly byAddress = new Map<Ip, Set<ServiceKey>>();
  /** Those that name a link: hardly any. */
  private readonly asking = new Map<ServiceKey, AskingForLink>();

  constructor(config: ServicesConfig, names: NameView = noNames) {
    this.config = config;
    this.names = names;
  }

  get(key: ServiceKey): Entry | undefined {
    return this.entries.get(key);
  }

  keys(): IterableIterator<ServiceKey> {
    return this.entries.keys();
  }

  get size(): number {
    return this.entries.size;
  }

  slicesOf(key: ServiceKey): Iterable<EndpointSlice> {
    return (this.slices.get(key) ?? noSlices).values();
  }

  /** Services that claim this address. */
  claimants(address: Ip): ReadonlySet<ServiceKey> {
    return this.byAddress.get(address) ?? new Set();
  }

  /** All addresses that are claimed. */
  vips(): IterableIterator<Ip> {
    return this.byAddress.keys();
  }

  askingForLinks(): Iterable<AskingForLink> {
    return this.asking.values();
  }

  /** What it and those it shares an address with disagree about: one conflict of each kind. */
  conflictsOf(entry: Entry): readonly Conflict[] {
    const { claim, key } = entry;
    if (claim.kind !== 'claim') return [];
    const sharers = this.sharersOf(claim, key);
    if (sharers.length === 0) return [];
    const lease = this.leaseFor(entry, claim);
    const found = new Map<Conflict['reason'], Conflict>();
    for (const other of sharers) {
      for (const conflict of conflictsBetween({ ...entry, claim }, other, lease, (vip) => this.firstOf(vip)))
        if (!found.has(conflict.reason)) found.set(conflict.reason, conflict);
    }
    return [...found.values()];
  }

  private sharersOf(claim: Claim, own: ServiceKey): readonly Claimant[] {
    const keys = claim.addresses.flatMap((address) => {
      const all = this.byAddress.get(address);
      return all === undefined || all.size < 2 ? [] : [...all];
    });
    return [...new Set(keys)].flatMap((key) => {
      const other = key === own ? undefined : this.entries.get(key);
      return other?.claim.kind === 'claim' ? [{ ...other, claim: other.claim }] : [];
    });
  }

  /** A Service that is for others to handle names this address; or it may be one of a name, which are not known yet. */
  mayBeOthers(address: Ip): boolean {
    return [...this.entries.values()].some(({ claim, service }) => {
      if (claim.kind === 'claim') return false;
      if (claim.reason === 'class-mismatch') return wantedAddresses(service).addresses.includes(address);
      return claim.reason === 'resolving';
    });
  }

  /** Returns the Services whose lease may be another one now, itself included. */
  put(key: ServiceKey, service: Service): ReadonlySet<ServiceKey> {
    const before = this.entries.get(key);
    const claim = claimOf(service, this.config, this.names);
    const touched = new Set([key]);
    const isSame = before !== undefined && sameClaim(before.claim, claim) && isAsOld(before.service, service);
    if (!isSame) this.addNeighbours(key, touched);
    if (!isSame && before?.claim.kind === 'claim') this.unindex(key, before.claim.addresses);
    this.entries.set(key, { key, service, claim });
    if (isAsking(claim)) this.asking.set(key, claim);
    else this.asking.delete(key);
    if (!isSame && claim.kind === 'claim') this.index(key, claim.addresses);
    if (!isSame) this.addNeighbours(key, touched);
    return touched;
  }

  remove(key: ServiceKey): ReadonlySet<ServiceKey> {
    const touched = new Set([key]);
    this.addNeighbours(key, touched);
    const before = this.entries.get(key);
    if (before?.claim.kind === 'claim') this.unindex(key, before.claim.addresses);
    this.entries.delete(key);
    this.asking.delete(key);
    return touched;
  }

  /** Returns the Service it belongs to. */
  putSlice(sliceKey: string, slice: EndpointSlice): ServiceKey {
    const key = serviceOf(slice);
    const known = this.slices.get(key);
    if (known === undefined) this.slices.set(key, new Map([[sliceKey, slice]]));
    else known.set(sliceKey, slice);
    return key;
  }

  removeSlice(sliceKey: string, slice: EndpointSlice): ServiceKey {
    const key = serviceOf(slice);
    const known = this.slices.get(key);
    known?.delete(sliceKey);
    if (known?.size === 0) this.slices.delete(key);
    return key;
  }

  /** What it claims, and the lease that decides about that; undefined: nothing. */
  claimed(key: ServiceKey): Claimed | undefined {
    const entry = this.entries.get(key);
    if (entry?.claim.kind !== 'claim') return undefined;
    return { lease: this.leaseFor(entry, entry.claim), vips: entry.claim.addresses };
  }

  /** The lease whose holder carries this claim. Every node computes the same one. */
  leaseFor(entry: Entry, claim: Claim): LeaseKey {
    let first = { entry, lease: claim.lease };
    for (const key of this.component(entry.key)) {
      const other = this.entries.get(key);
      if (other?.claim.kind !== 'claim') continue;
      if (isOlder(other, first.entry)) first = { entry: other, lease: other.claim.lease };
    }
    return first.lease;
  }

  /** The link on which this address is wanted: it is on one only, that of the first of those that share it. */
  linkFor(address: Ip): string | undefined {
    const claim = this.firstOf(address)?.claim;
    return claim?.kind === 'claim' ? claim.link : undefined;
  }

  private firstOf(address: Ip): Entry | undefined {
    let first: Entry | undefined;
    for (const key of this.byAddress.get(address) ?? []) {
      const entry = this.entries.get(key);
      if (entry !== undefined && (first === undefined || isOlder(entry, first))) first = entry;
    }
    return first;
  }

  private component(start: ServiceKey): ReadonlySet<ServiceKey> {
    const seen = new Set([start]);
    this.addNeighbours(start, seen);
    return seen;
  }

  /** Adds everything that hangs together with `start` by shared addresses. */
  private addNeighbours(start: ServiceKey, seen: Set<ServiceKey>): void {
    const open = [start];
    for (let key = open.pop(); key !== undefined; key = open.pop()) {
      const claim = this.entries.get(key)?.claim;
      if (claim?.kind !== 'claim') continue;
      for (const address of claim.addresses) {
        const sharers = this.byAddress.get(address);
        if (sharers === undefined || sharers.size < 2) continue;
        for (const other of sharers) {
          if (seen.has(other)) continue;
          seen.add(other);
          open.push(other);
        }
      }
    }
  }

  private index(key: ServiceKey, addresses: readonly Ip[]): void {
    for (const address of addresses) {
      const sharers = this.byAddress.get(address);
      if (sharers === undefined) this.byAddress.set(address, new Set([key]));
      else sharers.add(key);
    }
  }

  private unindex(key: ServiceKey, addresses: readonly Ip[]): void {
    for (const address of addresses) {
      const sharers = this.byAddress.get(address);
      sharers?.delete(key);
      if (sharers?.size === 0) this.byAddress.delete(address);
    }
  }
}

function isAsking(claim: Claim | Withhold): claim is AskingForLink {
  return claim.kind === 'claim' && claim.link !== undefined;
}

function serviceOf({ metadata }: EndpointSlice): ServiceKey {
  return `${metadata.namespace ?? ''}/${metadata.labels?.[serviceNameLabel] ?? ''}`;
}

/** One that was deleted and made anew, of which only the end was heard, may no longer be the first of those it shares with. */
function isAsOld(a: Service, b: Service): boolean {
  return a.metadata.creationTimestamp === b.metadata.creationTimestamp;
}

function sameClaim(a: Claim | Withhold, b: Claim | Withhold): boolean {
  if (a.kind !== 'claim' || b.kind !== 'claim') return a.kind === b.kind;
  return a.lease === b.lease && a.link === b.link && a.addresses.join() === b.addresses.join();
}
