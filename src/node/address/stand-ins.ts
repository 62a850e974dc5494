import type { Clock, Timer } from '../../lib/clock.ts';
import { familyOf, hostLength } from '../../lib/ip.ts';
import { errnoOf, KernelError } from '../../linux/errors.ts';
import type { Address, AddressKey, AddressRequest, Kernel, Link, Route } from '../../linux/types.ts';
import { addressId, type Observed } from '../observed.ts';
import { Pace } from './pace.ts';
import { expectedAddress } from './plan.ts';
import { requestOf, routeOf, standInRoutes } from './stand-in-route.ts';

/** What keeping addresses on links needs of the kernel. */
export type AddressKernel = Pick<
  Kernel,
  'links' | 'addresses' | 'watch' | 'setAddresses' | 'removeAddresses' | 'readSysctl' | 'writeSysctl'
>;

export interface StandInsParts {
  readonly kernel: AddressKernel & Pick<Kernel, 'routes' | 'setRoutes' | 'removeRoutes'>;
  readonly clock: Clock;
  readonly observed: Observed;
  /** Addresses of one link from which on it is worth while. */
  readonly crowd: number;
  /** More VIPs wait for their turn than the ones asked for now. */
  readonly isBusy: () => boolean;
  /** Is it wanted, and does a fence allow that it is added now? */
  readonly mayAdd: (key: AddressKey) => boolean;
  /** Linux has refused the address, and its stand-in is gone as well. */
  readonly onLost: (address: Address) => void;
}

/** What one turn writes at most, and how long it may take. */
const turnRequests = 256;
const turnMs = 8;
/** Until it is looked again whether what was busy is through, or a fence that has fallen stands again. */
const busyPauseMs = 5;
const pauseMs = 1000;

const noRequests: ReadonlySet<AddressRequest> = new Set();

/**
 * The kernel's addresses, with a short cut for very many (ADR 11): Linux takes a quarter of a millisecond for an IPv4
 * address on a link that has thousands, and a twentieth of that for a local route, with which it answers ARP and takes
 * packets just as well. While others wait, a VIP of such a link gets the route; the address follows when all of them
 * can be reached, and the route goes. To everybody above, a stand-in is the address.
 *
 * One that a killed process left is found by the first list, as an address with the mark of its route.
 */
export class StandIns implements AddressKernel {
  private readonly parts: StandInsParts;
  private readonly standing = new Map<string, AddressRequest>();
  /** Stand in for nothing any more, and Linux has not taken their routes away. */
  private behind: readonly AddressRequest[] = [];
  private readonly pace = new Pace(turnRequests);
  private next: Timer | undefined;
  private isClosed = false;
  private isFirstList = true;

  constructor(parts: StandInsParts) {
    this.parts = parts;
  }

  /** How many addresses are still to follow. */
  get size(): number {
    return this.standing.size;
  }

  links(): Promise<readonly Link[]> {
    return this.parts.kernel.links();
  }

  async addresses(): Promise<readonly Address[]> {
    const { kernel } = this.parts;
    const before = new Map(this.standing);
    const listed = await kernel.addresses();
    if (this.isFirstList || before.size > 0) this.compare(before, await kernel.routes(standInRoutes));
    if (this.standing.size === 0) return listed;
    // The list says nothing about one that is newer: its address may have gone first.
    const isOld = (id: string): boolean => before.has(id) && before.get(id) === this.standing.get(id);
    this.stepAside(listed.filter((address) => isOld(addressId(address))));
    return [...listed, ...Array.from(this.standing.values(), (request) => expectedAddress(request))];
  }

  watch(...args: Parameters<Kernel['watch']>): ReturnType<Kernel['watch']> {
    return this.parts.kernel.watch(...args);
  }

  readSysctl(name: string): string {
    return this.parts.kernel.readSysctl(name);
  }

  writeSysctl(name: string, value: string): void {
    this.parts.kernel.writeSysctl(name, value);
  }

  setAddresses(requests: readonly AddressRequest[]): readonly (KernelError | undefined)[] {
    const standing = this.parts.isBusy() ? this.standIn(requests) : noRequests;
    if (standing.size === 0) return this.write(requests);
    const direct = requests.filter((each) => !standing.has(each));
    const errors = direct.length === 0 ? [] : this.write(direct);
    const errorOf = new Map(direct.map((request, i) => [request, errors[i]]));
    return requests.map((request) => errorOf.get(request));
  }

  /** "Not there" of a stand-in: no event will tell that it is gone. */
  removeAddresses(keys: readonly AddressKey[]): readonly (KernelError | undefined)[] {
    if (this.standing.size === 0) return this.parts.kernel.removeAddresses(keys);
    const direct = keys.filter((key) => !this.standing.has(addressId(key)));
    const errors = direct.length === 0 ? [] : this.parts.kernel.removeAddresses(direct);
    const errorOf = new Map(direct.map((key, i) => [key, errors[i]]));
    this.stepAside(keys);
    return keys.map((key) => (errorOf.has(key) ? errorOf.get(key) : notThere(key)));
  }

  /** Those that stand in still do so, as addresses would. */
  close(): void {
    this.isClosed = true;
    this.next?.cancel();
  }

  /** Returns those for which a route stands in now: of the others the address itself is to be written. */
  private standIn(requests: readonly AddressRequest[]): ReadonlySet<AddressRequest> {
    const { kernel, observed, crowd } = this.parts;
    const suited = requests.filter(
      (request) =>
        hasRoute(request) &&
        observed.countOn(request.ifindex) >= crowd &&
        // In a VRF local routes are in another table.
        observed.linkAt(request.ifindex)?.master === undefined &&
        observed.find(request) === undefined,
    );
    if (suited.length === 0) return noRequests;
    const errors = kernel.setRoutes(suited.map(routeOf));
    const done = suited.filter((_, i) => errors[i] === undefined);
    for (const request of done) this.standing.set(addressId(request), request);
    // One of which Linux has not said what became of it may be there.
    this.takeAway(suited.filter((_, i) => errors[i] !== undefined));
    this.arm(busyPauseMs);
    return new Set(done);
  }

  private write(requests: readonly AddressRequest[]): readonly (KernelError | undefined)[] {
    const errors = this.parts.kernel.setAddresses(requests);
    if (this.standing.size === 0) return errors;
    this.stepAside(requests.filter((_, i) => isThere(errors[i])));
    return errors;
  }

  /** For those among them for which a route stands in: the address is there, or nobody wants it, or it cannot be. */
  private stepAside(keys: readonly AddressKey[]): void {
    const leaving: AddressRequest[] = [];
    for (const key of keys) {
      const id = addressId(key);
      const request = this.standing.get(id);
      if (request !== undefined && this.standing.delete(id)) leaving.push(request);
    }
    this.takeAway(leaving);
  }

  /** "Not there" is none of the failures: Linux drops the routes of a link that goes, and does not say so. */
  private takeAway(requests: readonly AddressRequest[]): void {
    if (requests.length === 0) return;
    const errors = this.parts.kernel.removeRoutes(requests.map(routeOf));
    const isStuck = (at: number): boolean => errors[at] !== undefined && errors[at].kind !== 'gone';
    this.behind = [...this.behind, ...requests.filter((_, i) => isStuck(i))];
    if (this.behind.length > 0) this.arm(pauseMs);
  }

  private arm(ms: number): void {
    if (this.isClosed || this.standing.size + this.behind.length === 0) return;
    this.next ??= this.parts.clock.after('address-stand-ins', ms, () => {
      this.next = undefined;
      const behind = this.behind.filter((request) => !this.standing.has(addressId(request)));
      this.behind = [];
      this.takeAway(behind);
      this.arm(this.parts.isBusy() ? busyPauseMs : this.follow());
    });
  }

  /** Writes some of the addresses; returns after how many milliseconds the next ones follow. */
  private follow(): number {
    const { clock, observed, mayAdd, onLost } = this.parts;
    const due: AddressRequest[] = [];
    const most = this.pace.next(turnMs);
    for (const request of this.standing.values()) {
      if (due.length === most) break;
      if (mayAdd(request)) due.push(request);
    }
    if (due.length === 0) return pauseMs;
    const start = clock.now();
    const errors = this.write(due);
    this.pace.took(due.length, clock.now() - start);
    for (const [i, request] of due.entries()) {
      const address = expectedAddress(request);
      if (isThere(errors[i])) {
        // A list that is being made may lack it.
        observed.wrote(address);
      } else {
        this.stepAside([request]);
        onLost(address);
      }
    }
    return 0;
  }

  /**
   * Those that a predecessor left are taken over at first, into `before` as well. Later ones whose route is gone no
   * longer stand: somebody else took it away, perhaps another process of this node whose it was all the time.
   */
  private compare(before: Map<string, AddressRequest>, routes: readonly Route[]): void {
    const found = new Map<string, AddressRequest>();
    for (const route of routes) {
      const request = requestOf(route);
      if (request !== undefined) found.set(addressId(request), request);
    }
    if (this.isFirstList) {
      for (const [id, request] of found) {
        before.set(id, request);
        this.standing.set(id, request);
      }
      this.isFirstList = false;
      this.arm(pauseMs);
    }
    for (const [id, request] of before)
      if (!found.has(id) && this.standing.get(id) === request) this.standing.delete(id);
  }
}

function isThere(error: KernelError | undefined): boolean {
  return error === undefined || error.kind === 'already';
}

/** The address comes with nothing but a local route, and does not end by itself. */
function hasRoute({ address, prefixLength, validLifetime }: AddressRequest): boolean {
  return familyOf(address) === 4 && prefixLength === hostLength(address) && validLifetime === undefined;
}

function notThere(key: AddressKey): KernelError {
  const errno = errnoOf.EADDRNOTAVAIL;
  return new KernelError({ op: 'remove address', object: `${key.address}/${key.prefixLength}`, errno });
}
