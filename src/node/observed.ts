import { isDeepStrictEqual } from 'node:util';
import { append } from '../lib/append.ts';
import { familyOf, isLinkLocal, type Ip } from '../lib/ip.ts';
import type { Address, AddressKey, Link } from '../linux/types.ts';

type Change =
  | { readonly kind: 'link'; readonly change: 'set' | 'gone'; readonly link: Link }
  | { readonly kind: 'address'; readonly change: 'set' | 'gone'; readonly address: Address };

const none: readonly string[] = [];
const noAddresses: readonly Address[] = [];

/** IPv6 has an address at most once on a link, whatever its prefix; IPv4 once for each prefix length. */
export function addressId(key: AddressKey): string {
  const prefix = familyOf(key.address) === 4 ? `/${key.prefixLength}` : '';
  return `${key.ifindex} ${key.address}${prefix}`;
}

/**
 * What the kernel has told about links and addresses: a dump, brought up to date by events and by
 * our own successful writes, which count at once. Events that were queued before one of our removals
 * arrive after it; they are told from later ones by the removal's own event.
 */
export class Observed {
  private readonly links = new Map<number, Link>();
  private readonly linkIndexes = new Map<string, number>();
  private readonly addresses = new Map<string, Address>();
  /** Hardly ever more than one for each: a list is smaller than a set. */
  private readonly byIp = new Map<Ip, readonly string[]>();
  private readonly byLink = new Map<number, Set<string>>();
  /** The link-local IPv6 addresses of each link: asked for with every advertisement. */
  private readonly linkLocals = new Map<number, Set<string>>();
  /** Our removals whose events are still on their way, and in which dump's time they were made. */
  private readonly expectedGone = new Map<string, { count: number; since: number }>();
  private dumps = 0;
  private changes = 0;
  /** Changes since a dump began: the dump may be older than they are. */
  private journal: Change[] | undefined;

  /** Another number whenever anything may have changed. */
  get generation(): number {
    return this.changes;
  }

  linkNamed(name: string): Link | undefined {
    const index = this.linkIndexes.get(name);
    return index === undefined ? undefined : this.links.get(index);
  }

  linkAt(index: number): Link | undefined {
    return this.links.get(index);
  }

  allLinks(): IterableIterator<Link> {
    return this.links.values();
  }

  allAddresses(): IterableIterator<Address> {
    return this.addresses.values();
  }

  /** The address this key names; of IPv6 it may have another prefix than the key says. */
  find(key: AddressKey): Address | undefined {
    return this.addresses.get(addressId(key));
  }

  /** This address wherever it is on the node. */
  addressesOf(vip: Ip): readonly Address[] {
    return this.resolve(this.byIp.get(vip));
  }

  /** How many addresses the link has. */
  countOn(ifindex: number): number {
    return this.byLink.get(ifindex)?.size ?? 0;
  }

  addressesOn(ifindex: number): readonly Address[] {
    return this.resolve(this.byLink.get(ifindex));
  }

  /** On some link, through with duplicate address detection: the kernel answers for it. */
  isUsable(vip: Ip): boolean {
    const isUsable = (id: string): boolean => {
      const address = this.addresses.get(id);
      return address !== undefined && !address.tentative && !address.dadFailed;
    };
    return this.byIp.get(vip)?.some(isUsable) === true;
  }

  /** A link-local IPv6 address that can be a source on this link. */
  linkLocalOn(ifindex: number): Ip | undefined {
    const usable = ({ tentative, dadFailed }: Address): boolean => !tentative && !dadFailed;
    return this.linkLocalsOn(ifindex).find(usable)?.address;
  }

  linkLocalsOn(ifindex: number): readonly Address[] {
    return this.resolve(this.linkLocals.get(ifindex));
  }

  isOwnMac(mac: string): boolean {
    for (const link of this.links.values()) if (link.mac === mac) return true;
    return false;
  }

  /** From an event. False when it only echoes what is known already. */
  heardAddress(change: 'set' | 'gone', address: Address): boolean {
    const id = addressId(address);
    const pending = this.expectedGone.get(id);
    if (pending !== undefined) {
      if (change === 'gone' && --pending.count === 0) this.expectedGone.delete(id);
      return false;
    }
    const known = this.addresses.get(id);
    this.apply({ kind: 'address', change, address });
    return change === 'gone' || known === undefined || !isEcho(known, address);
  }

  /** From an event; returns what the link was before. */
  heardLink(change: 'set' | 'gone', link: Link): Link | undefined {
    const before = this.links.get(link.index);
    this.apply({ kind: 'link', change, link });
    return before;
  }

  /** Our own write succeeded. */
  wrote(address: Address): void {
    this.apply({ kind: 'address', change: 'set', address });
  }

  /** Our own removal succeeded; its event is still to come. */
  removed(key: AddressKey): void {
    const id = addressId(key);
    const count = (this.expectedGone.get(id)?.count ?? 0) + 1;
    this.expectedGone.set(id, { count, since: this.dumps });
    this.lost(key);
  }

  /** It is not there, and no event will say so. */
  lost(key: AddressKey): void {
    const known = this.addresses.get(addressId(key));
    if (known !== undefined) this.apply({ kind: 'address', change: 'gone', address: known });
  }

  /** `eventsLost`: the events of our own removals may never come. */
  dumpStarted(eventsLost: boolean): void {
    this.journal = [];
    if (eventsLost) this.expectedGone.clear();
  }

  dumpFailed(): void {
    this.journal = undefined;
  }

  /** Replaces everything by the dump, and repeats what happened while it was taken. */
  dumpDone(links: readonly Link[], addresses: readonly Address[]): void {
    const journal = this.journal ?? [];
    this.journal = undefined;
    this.dumps++;
    // An event that has not come in the time of a whole refresh never will.
    for (const [id, { since }] of this.expectedGone) if (since < this.dumps - 2) this.expectedGone.delete(id);
    this.replaceLinks(links);
    this.replaceAddresses(addresses);
    for (const change of journal) this.apply(change);
  }

  /** As a rule none has changed: then whoever has looked at them need not look again. */
  private replaceLinks(links: readonly Link[]): void {
    const listed = new Set<number>();
    for (const link of links) {
      listed.add(link.index);
      if (!isDeepStrictEqual(this.links.get(link.index), link)) this.applyLink('set', link);
    }
    for (const [index, link] of this.links) if (!listed.has(index)) this.applyLink('gone', link);
  }

  /** Of ten thousand hardly one has changed: what is known already stays as it is. */
  private replaceAddresses(addresses: readonly Address[]): void {
    const listed = new Set<string>();
    for (const address of addresses) {
      const id = addressId(address);
      listed.add(id);
      const known = this.addresses.get(id);
      if (known === undefined || !isEcho(known, address)) this.applyAddress('set', address);
    }
    for (const [id, address] of this.addresses) if (!listed.has(id)) this.applyAddress('gone', address);
  }

  private apply(change: Change): void {
    this.journal?.push(change);
    if (change.kind === 'link') this.applyLink(change.change, change.link);
    else this.applyAddress(change.change, change.address);
  }

  private applyLink(change: 'set' | 'gone', link: Link): void {
    this.changes++;
    const before = this.links.get(link.index);
    if (before !== undefined && this.linkIndexes.get(before.name) === link.index) {
      this.linkIndexes.delete(before.name);
    }
    if (change === 'set') {
      this.links.set(link.index, link);
      this.linkIndexes.set(link.name, link.index);
      return;
    }
    this.links.delete(link.index);
    for (const address of this.addressesOn(link.index)) this.applyAddress('gone', address);
  }

  private applyAddress(change: 'set' | 'gone', address: Address): void {
    this.changes++;
    const id = addressId(address);
    if (change === 'set') {
      const isNew = !this.addresses.has(id);
      this.addresses.set(id, address);
      if (!isNew) return;
      this.byIp.set(address.address, append(this.byIp.get(address.address), id));
      add(this.byLink, address.ifindex, id);
      if (isLinkLocalIpv6(address.address)) add(this.linkLocals, address.ifindex, id);
    } else {
      this.addresses.delete(id);
      const others = (this.byIp.get(address.address) ?? none).filter((other) => other !== id);
      if (others.length === 0) this.byIp.delete(address.address);
      else this.byIp.set(address.address, others);
      remove(this.byLink, address.ifindex, id);
      remove(this.linkLocals, address.ifindex, id);
    }
  }

  private resolve(ids: Iterable<string> | undefined): readonly Address[] {
    if (ids === undefined) return noAddresses;
    const found: Address[] = [];
    for (const id of ids) {
      const address = this.addresses.get(id);
      if (address !== undefined) found.push(address);
    }
    return found;
  }
}

/** The kernel repeats what is known, as it does after each write. Lifetimes that run down are always news. */
function isEcho(known: Address, heard: Address): boolean {
  return (
    known.permanent &&
    heard.permanent &&
    known.prefixLength === heard.prefixLength &&
    known.scope === heard.scope &&
    known.protocol === heard.protocol &&
    known.broadcast === heard.broadcast &&
    known.deprecated === heard.deprecated &&
    known.tentative === heard.tentative &&
    known.dadFailed === heard.dadFailed &&
    known.noDad === heard.noDad
  );
}

/** fe80::/10, without the cost of parsing each address of each event. */
function isLinkLocalIpv6(address: Ip): boolean {
  return address.startsWith('fe') && familyOf(address) === 6 && isLinkLocal(address);
}

function add<K>(index: Map<K, Set<string>>, key: K, id: string): void {
  const ids = index.get(key);
  if (ids === undefined) index.set(key, new Set([id]));
  else ids.add(id);
}

function remove<K>(index: Map<K, Set<string>>, key: K, id: string): void {
  const ids = index.get(key);
  ids?.delete(id);
  if (ids?.size === 0) index.delete(key);
}
