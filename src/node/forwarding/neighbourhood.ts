import type { Clock, Timer } from '../../lib/clock.ts';
import { familyOf, ipToBytes, type Ip, type Mac, type Prefix } from '../../lib/ip.ts';
import { isKernelError } from '../../linux/errors.ts';
import type {
  Address,
  Kernel,
  KernelEvent,
  Neighbour,
  NeighbourResolver,
  Subscription,
} from '../../linux/types.ts';

export interface LinkFacts {
  readonly name: string;
  readonly ifindex: number;
  readonly mac: Mac;
}

export interface NeighbourhoodPorts {
  readonly kernel: Kernel;
  readonly resolver: NeighbourResolver;
  readonly clock: Clock;
  /** Something that was asked about may have changed. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

/** Somebody to look for on a link. */
interface Wanted {
  readonly link: string;
  readonly address: Ip;
}

/** Real servers that do not answer are asked for this often. */
const askMs = 1000;
const sure = ['reachable', 'permanent', 'noarp'];
const usable = ['reachable', 'stale', 'delay', 'probe', 'permanent', 'noarp'];

/**
 * What this node knows about links and the neighbours on them, kept up to date from kernel events:
 * which addresses are its own, which can be reached without a router, and at which MAC address.
 */
export class Neighbourhood {
  private readonly ports: NeighbourhoodPorts;
  private readonly addresses = new Map<string, Address>();
  private readonly macs = new Map<string, Mac>();
  /** Those the kernel is sure of at the moment. */
  private readonly reachable = new Set<string>();
  private wanted: readonly Wanted[] = [];
  /** By link and address, until an address of this node changes. */
  private readonly nearby = new Map<string, readonly Address[]>();
  private subscription: Subscription | undefined;
  private asking: Timer | undefined;
  private known = false;

  constructor(ports: NeighbourhoodPorts) {
    this.ports = ports;
  }

  /** False until the kernel has told once. */
  get isKnown(): boolean {
    return this.known;
  }

  /** Whom to look for from now on; begins to listen when there is somebody. */
  want(wanted: readonly Wanted[]): void {
    // A server that several VIPs have is one neighbour.
    this.wanted = [...new Map(wanted.map((each) => [`${each.link} ${each.address}`, each])).values()];
    if (wanted.length === 0) return;
    if (this.subscription === undefined) {
      this.subscription = this.ports.kernel.watch(['link', 'address', 'neighbour'], (event) =>
        this.heard(event),
      );
      void this.dump();
    }
    this.ask();
  }

  close(): void {
    this.subscription?.close();
    this.subscription = undefined;
    this.asking?.cancel();
  }

  link(name: string): LinkFacts | undefined {
    const link = this.ports.kernel.linkByName(name);
    return link === undefined ? undefined : { name, ifindex: link.index, mac: link.mac };
  }

  isOwn(address: Ip): boolean {
    return [...this.addresses.values()].some((each) => each.address === address);
  }

  /** It shares a prefix with an address of the link, so no router is on the way. */
  isOnLink(ifindex: number, address: Ip): boolean {
    return this.near(ifindex, address).length > 0;
  }

  /** This node's address among the neighbours of `address`; a VIP, which is deprecated, is never it. */
  sourceFor(ifindex: number, address: Ip): Ip | undefined {
    return this.near(ifindex, address).find(({ deprecated }) => !deprecated)?.address;
  }

  /**
   * The last MAC address it was seen with. Kept when the kernel forgets or no longer reaches it:
   * whether it serves is for its health probe to say, and its connections need the address until then.
   */
  macOf(ifindex: number, address: Ip): Mac | undefined {
    return this.macs.get(`${ifindex} ${address}`);
  }

  private near(ifindex: number, address: Ip): readonly Address[] {
    const key = `${ifindex} ${address}`;
    const known = this.nearby.get(key);
    if (known !== undefined) return known;
    const found = [...this.addresses.values()].filter(
      (each) =>
        each.ifindex === ifindex &&
        familyOf(each.address) === familyOf(address) &&
        contains({ address: each.address, length: each.prefixLength }, address),
    );
    this.nearby.set(key, found);
    return found;
  }

  private async dump(): Promise<void> {
    const { kernel, onChange, onError } = this.ports;
    try {
      const [addresses, neighbours] = [await kernel.addresses(), await kernel.neighbours()];
      this.addresses.clear();
      this.nearby.clear();
      for (const address of addresses) this.addresses.set(addressKey(address), address);
      for (const neighbour of neighbours) this.learn('set', neighbour);
      this.known = true;
      this.ask();
      onChange();
    } catch (error) {
      onError(error);
    }
  }

  private heard(event: KernelEvent): void {
    switch (event.kind) {
      case 'resync':
        void this.dump();
        return;
      case 'link':
        if (this.wanted.some(({ link }) => link === event.link.name)) this.ports.onChange();
        return;
      case 'address':
        this.nearby.clear();
        if (event.change === 'set') this.addresses.set(addressKey(event.address), event.address);
        else this.addresses.delete(addressKey(event.address));
        this.ports.onChange();
        return;
      case 'neighbour':
        this.heardNeighbour(event.change, event.neighbour);
        return;
      case 'route':
        return;
    }
  }

  private heardNeighbour(change: 'set' | 'gone', neighbour: Neighbour): void {
    if (this.learn(change, neighbour)) this.ports.onChange();
  }

  /** True when a neighbour that somebody asked about has another MAC address than before. */
  private learn(change: 'set' | 'gone', { ifindex, address, mac, state }: Neighbour): boolean {
    const key = `${ifindex} ${address}`;
    if (change === 'set' && sure.includes(state)) this.reachable.add(key);
    else this.reachable.delete(key);
    if (change === 'gone' || mac === undefined || !usable.includes(state)) return false;
    const before = this.macs.get(key);
    this.macs.set(key, mac);
    return before !== mac && this.wanted.some((each) => each.address === address);
  }

  /** Makes the kernel look for those whose MAC is not known or not sure. */
  private ask(): void {
    this.asking?.cancel();
    if (this.wanted.length === 0) return;
    const links = new Map(this.wanted.map(({ link }) => [link, undefined as number | undefined]));
    for (const link of links.keys()) links.set(link, this.link(link)?.ifindex);
    for (const { link, address } of this.wanted) {
      const ifindex = links.get(link);
      if (ifindex === undefined || this.isOwn(address) || !this.isOnLink(ifindex, address)) continue;
      if (this.reachable.has(`${ifindex} ${address}`)) continue;
      try {
        this.ports.resolver.resolve(ifindex, address);
      } catch (error) {
        if (!isKernelError(error, 'retry', 'unsupported')) this.ports.onError(error);
      }
    }
    this.asking = this.ports.clock.after('ask for neighbours', askMs, () => this.ask());
  }
}

function addressKey({ ifindex, address, prefixLength }: Address): string {
  return `${ifindex} ${address}/${prefixLength}`;
}

/** A prefix of full length contains only itself, and so no neighbour. */
function contains(prefix: Prefix, address: Ip): boolean {
  const bytes = ipToBytes(address);
  const network = ipToBytes(prefix.address);
  if (prefix.length === bytes.length * 8) return false;
  for (let bit = 0; bit < prefix.length; bit++) {
    const mask = 0x80 >> (bit % 8);
    if (((bytes[bit >> 3] ?? 0) & mask) !== ((network[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}
