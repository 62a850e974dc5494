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
  /** The claimed IPv4 addresses as numbers, in order. */
  private readonly order: number[] = [];
  /** Where a search may begin: nothing before fits. A cache; answers are the same without it. */
  private readonly marks = new Map<string, Mark>();

  constructor(claims: Iterable<Claim> = []) {
    for (const claim of claims) this.add(claim);
  }

  add(claim: Claim): void {
    for (const address of claim.addresses) {
      const others = this.byAddress.get(address);
      if (others === undefined) {
        this.byAddress.set(address, [claim]);
        if (familyOf(address) === 4) this.enter(Number(numberOf(address)));
      } else others.push(claim);
      this.moveMarks(address, true);
    }
  }

  remove(claim: Claim): void {
    for (const address of claim.addresses) {
      const rest = (this.byAddress.get(address) ?? []).filter(({ service }) => service !== claim.service);
      if (rest.length === 0) {
        if (this.byAddress.delete(address) && familyOf(address) === 4) this.leave(Number(numberOf(address)));
      } else this.byAddress.set(address, rest);
      this.moveMarks(address, false);
    }
  }

  isFree(address: Ip): boolean {
    return !this.byAddress.has(address);
  }

  holders(address: Ip): readonly Claim[] {
    return this.byAddress.get(address) ?? [];
  }

  addresses(): Iterable<Ip> {
    return this.byAddress.keys();
  }

  /** The claimed IPv4 addresses from `first` to `last`, rising, as numbers. */
  *between(first: number, last: number): Iterable<number> {
    for (let at = this.position(first); at < this.order.length; at++) {
      const value = this.order[at] ?? Infinity;
      if (value > last) return;
      yield value;
    }
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
  private moveMarks(address: Ip, added: boolean): void {
    if (this.marks.size === 0) return;
    const family = familyOf(address);
    const value = numberOf(address);
    for (const mark of this.marks.values()) {
      if (mark.family !== family || (added && !mark.sharing)) continue;
      if (mark.descending ? value > mark.at : value < mark.at) mark.at = value;
    }
  }

  private enter(value: number): void {
    this.order.splice(this.position(value), 0, value);
  }

  private leave(value: number): void {
    this.order.splice(this.position(value), 1);
  }

  /** Index of the first entry that is not below `value`. */
  private position(value: number): number {
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.order[middle] ?? Infinity) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Whether two port lists meet; an empty list stands for every port. */
export function overlap(a: readonly ServicePort[], b: readonly ServicePort[]): boolean {
  if (a.length === 0 || b.length === 0) return true;
  return a.some((left) => b.some((right) => left.port === right.port && left.protocol === right.protocol));
}
