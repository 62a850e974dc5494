import { Claims, type Claim } from './claims.ts';
import type { Ip } from '../lib/ip.ts';
import { claimOf, decide, type Verdict } from './decide.ts';
import { findPool, type PoolLookup } from './pools.ts';
import type { Candidate, IpamOptions, ServiceKey } from './types.ts';

/**
 * All Services with what they claim, the addresses of Nodes, and the pools: everything an assignment
 * depends on. A grant claims its addresses from the moment it is decided, long before the API server's
 * watch tells of it, so decisions never overlap.
 */
export class AddressBook {
  readonly claims = new Claims();
  private readonly options: IpamOptions;
  private readonly candidates = new Map<ServiceKey, Candidate>();
  private readonly claimed = new Map<ServiceKey, Claim>();
  private readonly grants = new Map<ServiceKey, readonly Ip[]>();
  private readonly reserved = new Map<string, Claim>();
  private data: Readonly<Record<string, string>> = {};
  private readonly pools = new Map<string, PoolLookup>();

  constructor(options: IpamOptions) {
    this.options = options;
  }

  get(key: ServiceKey): Candidate | undefined {
    return this.candidates.get(key);
  }

  get config(): Readonly<Record<string, string>> {
    return this.data;
  }

  /** What is known about pools is forgotten with the data it came from: a change counts at once. */
  setConfig(data: Readonly<Record<string, string>>): void {
    this.data = data;
    this.pools.clear();
  }

  /** Returns whether addresses or ports became free. */
  put(candidate: Candidate): boolean {
    this.candidates.set(candidate.key, candidate);
    return this.reclaim(candidate.key);
  }

  remove(key: ServiceKey): boolean {
    this.candidates.delete(key);
    this.grants.delete(key);
    return this.reclaim(key);
  }

  /** Claims for a Service what it has been given but does not carry yet. */
  grant(key: ServiceKey, addresses: readonly Ip[]): void {
    if (addresses.length === 0) return;
    this.grants.set(key, addresses);
    this.reclaim(key);
  }

  dropGrant(key: ServiceKey): boolean {
    return this.grants.delete(key) && this.reclaim(key);
  }

  /**
   * Addresses of a machine are not given to Services, and those that are `reserved` refused to who asks for them;
   * `owner` as messages name it. Returns whether some became free.
   */
  reserve(owner: string, addresses: readonly Ip[], kind: 'reserved' | 'wish' = 'reserved'): boolean {
    const before = this.reserved.get(owner);
    if (before?.addresses.join() === addresses.join()) return false;
    if (before !== undefined) this.claims.remove(before);
    this.reserved.delete(owner);
    if (addresses.length > 0) {
      const claim: Claim = { service: owner, addresses, ports: [], kind };
      this.reserved.set(owner, claim);
      this.claims.add(claim);
    }
    return before !== undefined;
  }

  /** What there is to do about a Service now. */
  verdict(candidate: Candidate): Verdict {
    const world = {
      claims: this.claims,
      pool: (namespace: string) => this.pool(namespace),
      options: this.options,
    };
    // An address that only its status still shows may be given to it again.
    const own =
      candidate.asked === '' && candidate.askedInSpec === '' ? this.claimed.get(candidate.key) : undefined;
    if (own === undefined) return decide(candidate, world);
    this.claims.remove(own);
    try {
      return decide(candidate, world);
    } finally {
      this.claims.add(own);
    }
  }

  private pool(namespace: string): PoolLookup {
    const known = this.pools.get(namespace);
    if (known !== undefined) return known;
    const found = findPool(this.data, namespace);
    this.pools.set(namespace, found);
    return found;
  }

  private reclaim(key: ServiceKey): boolean {
    const before = this.claimed.get(key);
    const candidate = this.candidates.get(key);
    // It carries what it was given; an annotation alone may be a wish of its user.
    if (candidate?.isLabelled === true && candidate.asked !== '') this.grants.delete(key);
    const now = candidate === undefined ? undefined : claimOf(candidate, this.grants.get(key) ?? []);
    if (before !== undefined && now !== undefined && textOf(before) === textOf(now)) return false;
    if (before !== undefined) this.claims.remove(before);
    if (now === undefined) this.claimed.delete(key);
    else {
      this.claimed.set(key, now);
      this.claims.add(now);
    }
    return before !== undefined;
  }
}

function textOf({ kind, addresses, ports }: Claim): string {
  return `${kind ?? ''} ${addresses.join()} ${ports.map(({ port, protocol }) => `${protocol}/${port}`).join()}`;
}
