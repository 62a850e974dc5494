import type { Timer } from '../../lib/clock.ts';
import { familyOf, hostLength, ipFromBytes, ipToBytes, isLinkLocal, type Ip } from '../../lib/ip.ts';
import { errnoOf } from '../../linux/errors.ts';
import { describeAddress } from '../../linux/objects.ts';
import type { Address, AddressKey, AddressRequest, Link, Scope } from '../../linux/types.ts';
import { isRunning, isSet, linkFor, refuse, type FakeWorld } from './world.ts';

interface Entry {
  address: Address;
  /** Monotonic milliseconds at which the lifetimes end; undefined means never. */
  preferredUntil: number | undefined;
  validUntil: number | undefined;
  timers: Timer[];
}

export interface FakeAddressOptions {
  /** How long duplicate address detection takes; 1000 ms by default (RetransTimer, RFC 4861 10). */
  readonly dadMs: number;
}

/** The addresses of every link, with the rules Linux has for them. */
export class FakeAddresses {
  private entries: Entry[] = [];
  private readonly conflicts = new Set<Ip>();
  private readonly world: FakeWorld;
  private readonly options: FakeAddressOptions;
  /** Called with the link that lost its last IPv4 address. */
  onLastIpv4: (ifindex: number) => void = () => undefined;

  constructor(world: FakeWorld, options: FakeAddressOptions) {
    this.world = world;
    this.options = options;
  }

  list(): readonly Address[] {
    const ordered = [...this.entries].sort((a, b) => a.address.ifindex - b.address.ifindex);
    return ordered.map((entry) => this.snapshot(entry));
  }

  /** A later address in the subnet of an earlier one: deleted together with it. */
  isSecondary(address: Address): boolean {
    const first = this.entries.find(({ address: other }) => sameSubnet(other, address));
    return familyOf(address.address) === 4 && first?.address.address !== address.address;
  }

  set(request: AddressRequest): void {
    const object = describeAddress(request);
    const link = linkFor(this.world, 'set address', request.ifindex, object);
    checkLifetimes(request, object);
    if (request.prefixLength > hostLength(request.address)) {
      refuse('set address', errnoOf.EINVAL, object, 'Invalid prefix length');
    }
    if (familyOf(request.address) === 6 && isSet(this.world, 'ipv6', link.name, 'disable_ipv6')) {
      refuse('set address', errnoOf.EACCES, object, 'ipv6: IPv6 is disabled on this device.');
    }
    const existing = this.entries.find((entry) => sameKey(entry.address, request));
    if (existing === undefined) this.add(link, request, object);
    else this.change(existing, request);
  }

  remove(key: AddressKey): void {
    const object = describeAddress(key);
    linkFor(this.world, 'remove address', key.ifindex, object);
    const entry = this.entries.find(
      ({ address }) => sameKey(address, key) && address.prefixLength === key.prefixLength,
    );
    if (entry === undefined) {
      const family = familyOf(key.address) === 4 ? 'ipv4: Address' : 'ipv6: address';
      refuse('remove address', errnoOf.EADDRNOTAVAIL, object, `${family} not found.`);
    }
    for (const secondary of this.secondariesOf(entry.address)) this.drop(secondary);
    this.drop(entry);
  }

  /** The link went down or away: Linux drops its IPv6 addresses, and everything when it is gone. */
  linkDown(link: Link, isGone: boolean): void {
    for (const entry of this.entries.filter(({ address }) => address.ifindex === link.index)) {
      if (isGone || familyOf(entry.address.address) === 6) this.drop(entry);
    }
  }

  /** The link can carry packets: it gets its link-local address, and pending detections start. */
  linkRunning(link: Link, isNew: boolean): void {
    const linkLocal = linkLocalOf(link);
    if (linkLocal !== undefined && !isSet(this.world, 'ipv6', link.name, 'disable_ipv6')) {
      const key = { ifindex: link.index, address: linkLocal, prefixLength: 64 };
      if (!this.entries.some(({ address }) => sameKey(address, key))) this.addLinkLocal(key, isNew);
    }
    for (const entry of this.entries) {
      if (entry.address.ifindex === link.index && entry.address.tentative) this.startDad(entry);
    }
  }

  /** Another host answers for this address: its next duplicate address detection fails. */
  conflict(address: Ip): void {
    this.conflicts.add(address);
  }

  /** A link made with the fake has long finished detection; one that comes up later has not. */
  private addLinkLocal(key: AddressKey, isSettled: boolean): void {
    this.set(kernelAddress(key, isSettled));
    const entry = this.entries.find(({ address }) => sameKey(address, key));
    if (entry !== undefined) entry.address = { ...entry.address, noDad: false };
  }

  private add(link: Link, request: AddressRequest, object: string): void {
    const isIpv6 = familyOf(request.address) === 6;
    const clash = this.entries.find(({ address }) => !isIpv6 && sameSubnet(address, request));
    if (clash !== undefined && clash.address.scope !== request.scope) {
      refuse('set address', errnoOf.EINVAL, object, 'ipv4: Invalid scope value.');
    }
    const tentative = isIpv6 && !request.noDad && !link.loopback;
    const entry: Entry = {
      address: {
        ...request,
        ...this.lifetimes(request),
        scope: isIpv6 ? ipv6Scope(request.address) : request.scope,
        broadcast: isIpv6 ? undefined : request.broadcast,
        noDad: isIpv6 && request.noDad,
        tentative,
        dadFailed: false,
      },
      preferredUntil: undefined,
      validUntil: undefined,
      timers: [],
    };
    this.entries.push(entry);
    this.arm(entry, request);
    this.report(entry);
    if (tentative && isRunning(link)) this.startDad(entry);
  }

  /** NLM_F_REPLACE: lifetimes and owner mark (and noDad) change; scope, broadcast and prefix stay. */
  private change(entry: Entry, request: AddressRequest): void {
    const noDad = familyOf(request.address) === 6 && request.noDad;
    const { protocol } = request;
    entry.address = { ...entry.address, ...this.lifetimes(request), noDad, protocol };
    for (const timer of entry.timers.filter(({ name }) => name !== 'dad')) timer.cancel();
    this.arm(entry, request);
    if (!entry.address.tentative) this.report(entry);
  }

  private lifetimes(
    request: AddressRequest,
  ): Pick<Address, 'validLifetime' | 'preferredLifetime' | 'deprecated' | 'permanent'> {
    const { validLifetime, preferredLifetime } = request;
    const permanent = validLifetime === undefined;
    return { validLifetime, preferredLifetime, deprecated: preferredLifetime === 0, permanent };
  }

  private arm(entry: Entry, request: AddressRequest): void {
    const { clock } = this.world;
    const { validLifetime: valid, preferredLifetime: preferred } = request;
    entry.validUntil = valid === undefined ? undefined : clock.now() + valid * 1000;
    entry.preferredUntil = preferred === undefined ? undefined : clock.now() + preferred * 1000;
    if (preferred !== undefined && preferred > 0) {
      const deprecate = (): void => {
        entry.address = { ...entry.address, deprecated: true };
        this.report(entry);
      };
      entry.timers.push(clock.after('preferred lifetime', preferred * 1000, deprecate));
    }
    if (valid !== undefined) {
      entry.timers.push(clock.after('valid lifetime', valid * 1000, () => this.drop(entry)));
    }
  }

  private startDad(entry: Entry): void {
    if (entry.address.dadFailed || entry.timers.some(({ name }) => name === 'dad')) return;
    const finish = (): void => {
      entry.timers = entry.timers.filter(({ name }) => name !== 'dad');
      const dadFailed = this.conflicts.delete(entry.address.address);
      entry.address = { ...entry.address, tentative: dadFailed, dadFailed };
      this.report(entry);
    };
    entry.timers.push(this.world.clock.after('dad', this.options.dadMs, finish));
  }

  private secondariesOf(address: Address): readonly Entry[] {
    if (familyOf(address.address) === 6 || this.isSecondary(address)) return [];
    const link = this.world.links.get(address.ifindex);
    if (link !== undefined && isSet(this.world, 'ipv4', link.name, 'promote_secondaries')) return [];
    return this.entries.filter((other) => other.address !== address && sameSubnet(other.address, address));
  }

  private drop(entry: Entry): void {
    for (const timer of entry.timers) timer.cancel();
    const before = this.entries.length;
    this.entries = this.entries.filter((other) => other !== entry);
    if (this.entries.length === before) return;
    this.world.events.emit({ kind: 'address', change: 'gone', address: this.snapshot(entry) });
    const { ifindex, address } = entry.address;
    const others = this.entries.some(
      (e) => e.address.ifindex === ifindex && familyOf(e.address.address) === 4,
    );
    if (familyOf(address) === 4 && !others) this.onLastIpv4(ifindex);
  }

  private report(entry: Entry): void {
    this.world.events.emit({ kind: 'address', change: 'set', address: this.snapshot(entry) });
  }

  private snapshot(entry: Entry): Address {
    const left = (until: number | undefined): number | undefined =>
      until === undefined ? undefined : Math.max(0, Math.ceil((until - this.world.clock.now()) / 1000));
    // An IPv4 address that is valid for ever shows no preferred lifetime, even when it is deprecated.
    const hidesPreferred = entry.address.permanent && familyOf(entry.address.address) === 4;
    return {
      ...entry.address,
      validLifetime: left(entry.validUntil),
      preferredLifetime: hidesPreferred ? undefined : left(entry.preferredUntil),
    };
  }
}

function checkLifetimes(request: AddressRequest, object: string): void {
  const { validLifetime: valid = Infinity, preferredLifetime: preferred = Infinity } = request;
  if (valid === 0 || preferred > valid) {
    refuse('set address', errnoOf.EINVAL, object, 'address lifetime invalid');
  }
}

/** IPv4 tells addresses apart by prefix too; IPv6 has an address at most once on a link. */
function sameKey(a: AddressKey, b: AddressKey): boolean {
  if (a.ifindex !== b.ifindex || a.address !== b.address) return false;
  return familyOf(a.address) === 6 || a.prefixLength === b.prefixLength;
}

function sameSubnet(a: AddressKey, b: AddressKey): boolean {
  if (a.ifindex !== b.ifindex || a.prefixLength !== b.prefixLength) return false;
  if (familyOf(a.address) !== familyOf(b.address)) return false;
  // Host addresses are their own subnet: thousands of VIPs must not be compared bit by bit.
  if (a.prefixLength === hostLength(a.address)) return a.address === b.address;
  return network(a) === network(b);
}

/** The prefix bits of an address as text, for comparison. */
function network({ address, prefixLength }: AddressKey): string {
  const bytes = ipToBytes(address);
  return Array.from(bytes, (byte, i) => {
    const bits = Math.min(8, Math.max(0, prefixLength - i * 8));
    return byte & (0xff00 >> bits);
  }).join('.');
}

function ipv6Scope(address: Ip): Scope {
  if (address === '::1') return 'host';
  return isLinkLocal(address) ? 'link' : 'global';
}

/** fe80::/64 with the modified EUI-64 of the link (RFC 4291 appendix A); Ethernet only. */
function linkLocalOf(link: Link): Ip | undefined {
  const bytes = link.mac.split(':').map((pair) => Number.parseInt(pair, 16));
  const [a, b, c, d, e, f] = bytes;
  if (link.hardwareType !== 1 || bytes.length !== 6) return undefined;
  if (a === undefined || b === undefined || c === undefined) return undefined;
  if (d === undefined || e === undefined || f === undefined) return undefined;
  return ipFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f));
}

function kernelAddress(key: AddressKey, noDad: boolean): AddressRequest {
  return {
    ...key,
    scope: 'link',
    validLifetime: undefined,
    preferredLifetime: undefined,
    noDad,
    broadcast: undefined,
    protocol: 3, // IFAPROT_KERNEL_LL
  };
}

/** A permanent one without anything special. */
export function plainRequest(ifindex: number, address: Ip, prefixLength: number): AddressRequest {
  return {
    ifindex,
    address,
    prefixLength,
    scope: 'global',
    validLifetime: undefined,
    preferredLifetime: undefined,
    noDad: false,
    broadcast: undefined,
    protocol: 0,
  };
}
