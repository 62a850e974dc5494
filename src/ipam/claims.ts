import { familyOf, type Family, type Ip } from '../lib/ip.ts';
import { numberOf } from './ranges.ts';

export interface ServicePort {
  readonly protocol: string;
  readonly port: number;
}

/** Addresses that somebody has, with the ports in use on them. */
export interface Claim {
  /** namespace/name of a Service, or who else has them, as messages name it. */
  readonly service: string;
  readonly addresses: readonly Ip[];
  /** Empty: all ports. */
  readonly ports: readonly ServicePort[];
  /**
   * `wish`: asked for by a Service, not accepted yet; keeps others from being given it, but refuses nobody
   * who asks. `reserved`: of a machine, not a Service.
   */
  readonly kind?: 'reserved' | 'wish';
}

/** What is remembered of searches; a bound on what hostile port lists can make of it. */
const maxMarks = 64;

interface Mark {
  readonly family: Family;
  readonly descending: boolean;
  /** A claim that is added can make an address before the mark fit, not only one that is removed. */
  readonly sharing: boolean;
  at: bigint;
}

/** All claims by address: who has it, and with which ports. Built once for many allocations. */
export class Claims {
  private readonly byAddress = new Map<Ip, Claim[]>();
  /** The claimed addresses as numbers, in order. */
  private readonly order: number[] = [];
  private readonly order6: bigint[] = [];
  private changes = 0;
  /** Where a search may begin: nothing before fits. A cache; answers are the same without it. */
  private readonly marks = new Map<string, Mark>();

  constructor(claims: Iterable<Claim> = []) {
    for (const claim of claims) this.add(claim);
  }

  /** Another one when anything has changed. */
  get revision(): number {
    return this.changes;
  }

  add(claim: Claim): void {
    this.changes++;
    for (const address of claim.addresses) {
      const value = numberOf(address);
      const others = this.byAddress.get(address);
      if (others === undefined) {
        this.byAddress.set(address, [claim]);
        this.enter(familyOf(address), value);
      } else others.push(claim);
      this.moveMarks(familyOf(address), value, true);
    }
  }

  remove(claim: Claim): void {
    this.changes++;
    for (const address of claim.addresses) {
      const value = numberOf(address);
      const rest = (this.byAddress.get(address) ?? []).filter(({ service }) => service !== claim.service);
      if (rest.length === 0) {
        if (this.byAddress.delete(address)) this.leave(familyOf(address), value);
      } else this.byAddress.set(address, rest);
      this.moveMarks(familyOf(address), value, false);
    }
  }

  isFree(address: Ip): boolean {
    return !this.byAddress.has(address);
  }

  holders(address: Ip): readonly Claim[] {
    return this.byAddress.get(address) ?? [];
  }

  /** The claimed IPv4 addresses from `first` to `last`, rising, as numbers. */
  *between(first: number, last: number): Iterable<number> {
    for (let at = position(this.order, first); at < this.order.length; at++) {
      const value = this.order[at] ?? Infinity;
      if (value > last) return;
      yield value;
    }
  }

  /** How many IPv6 addresses from `first` to `last` are claimed. */
  count6(first: bigint, last: bigint): number {
    return position(this.order6, last + 1n) - position(this.order6, first);
  }

  /** The first claim of somebody else that uses one of these ports on this address. */
  conflict(
    address: Ip,
    request: { readonly service: string; readonly ports: readonly ServicePort[] },
  ): Claim | undefined {
    return this.holders(address).find(
      (claim) => claim.service !== request.service && overlap(claim.ports, request.ports),
    );
  }

  /** Where the search called `name` ended; undefined when it has to begin at the beginning. */
  mark(name: string): bigint | undefined {
    return this.marks.get(name)?.at;
  }

  setMark(name: string, mark: Mark): void {
    if (this.marks.size >= maxMarks && !this.marks.has(name)) this.marks.clear();
    this.marks.set(name, mark);
  }

  /** An address that changed lets searches begin there again. */
  private moveMarks(family: Family, value: bigint, added: boolean): void {
    for (const mark of this.marks.values()) {
      if (mark.family !== family || (added && !mark.sharing)) continue;
      if (mark.descending ? value > mark.at : value < mark.at) mark.at = value;
    }
  }

  private enter(family: Family, value: bigint): void {
    if (family === 6) this.order6.splice(position(this.order6, value), 0, value);
    else this.order.splice(position(this.order, Number(value)), 0, Number(value));
  }

  private leave(family: Family, value: bigint): void {
    if (family === 6) this.order6.splice(position(this.order6, value), 1);
    else this.order.splice(position(this.order, Number(value)), 1);
  }
}

/** Index of the first entry that is not below `value`. */
function position<T extends number | bigint>(order: readonly T[], value: T): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = order[middle];
    if (entry !== undefined && entry < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether two port lists meet; an empty list stands for every port. */
export function overlap(a: readonly ServicePort[], b: readonly ServicePort[]): boolean {
  if (a.length === 0 || b.length === 0) return true;
  return a.some((left) => b.some((right) => left.port === right.port && left.protocol === right.protocol));
}
