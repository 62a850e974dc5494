import type { Ip, Mac, Family } from '../lib/ip.ts';
import type { KernelError } from './errors.ts';

/**
 * The kernel as the rest of the program sees it: links, addresses, routes, rules, neighbours and
 * packet sockets. Changes are synchronous on purpose: the kernel answers a netlink request inside
 * the send call (10-20 us), so "remove the VIP before anything else" is one statement with no await
 * in which something else could happen. Dumps may be long, so they are asynchronous and yield.
 */

export type OperState = 'unknown' | 'notpresent' | 'down' | 'lowerlayerdown' | 'testing' | 'dormant' | 'up';

export interface Link {
  readonly index: number;
  readonly name: string;
  /** ARPHRD_*: 1 Ethernet, 32 InfiniBand, 772 loopback. */
  readonly hardwareType: number;
  readonly mac: Mac;
  readonly broadcast: Mac;
  readonly mtu: number;
  readonly operState: OperState;
  /** IFF_UP. */
  readonly adminUp: boolean;
  /** IFF_LOWER_UP: carrier. */
  readonly carrier: boolean;
  readonly loopback: boolean;
  /** IFLA_INFO_KIND: veth, bridge, bond, vlan ...; undefined for a physical device. */
  readonly kind: string | undefined;
  readonly master: number | undefined;
}

export type Scope = 'global' | 'site' | 'link' | 'host' | 'nowhere';

export interface Address {
  readonly ifindex: number;
  readonly address: Ip;
  readonly prefixLength: number;
  readonly scope: Scope;
  /** Seconds; undefined means forever. */
  readonly validLifetime: number | undefined;
  readonly preferredLifetime: number | undefined;
  readonly deprecated: boolean;
  readonly tentative: boolean;
  readonly dadFailed: boolean;
  readonly noDad: boolean;
  readonly permanent: boolean;
  readonly broadcast: Ip | undefined;
  /** IFA_PROTO, our owner mark; 0 when the kernel or the writer did not set one. */
  readonly protocol: number;
}

/** What to put on a link. The kernel sets the flags it owns (tentative, deprecated, permanent). */
export type AddressRequest = Omit<Address, 'deprecated' | 'tentative' | 'dadFailed' | 'permanent'>;

/** What names an address on a link, for removing it. */
export interface AddressKey {
  readonly ifindex: number;
  readonly address: Ip;
  readonly prefixLength: number;
}

export interface NextHop {
  readonly gateway: Ip | undefined;
  readonly ifindex: number | undefined;
  readonly weight: number;
}

export interface Route {
  readonly family: Family;
  /** undefined is the default route. */
  readonly destination: { readonly address: Ip; readonly length: number } | undefined;
  readonly table: number;
  readonly protocol: number;
  readonly scope: Scope;
  /** RTN_*: 1 unicast, 2 local ... */
  readonly type: number;
  readonly nextHops: readonly NextHop[];
  readonly priority: number | undefined;
  readonly source: Ip | undefined;
  readonly realm: number | undefined;
}

/** Which routes a dump has; what is left out matches all. */
export interface RouteFilter {
  readonly table?: number;
  readonly protocol?: number;
  readonly family?: Family;
}

export interface Rule {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly from: { readonly address: Ip; readonly length: number } | undefined;
  readonly to: { readonly address: Ip; readonly length: number } | undefined;
  readonly mark: number | undefined;
  readonly markMask: number | undefined;
  readonly protocol: number;
}

export type NeighbourState =
  'incomplete' | 'reachable' | 'stale' | 'delay' | 'probe' | 'failed' | 'noarp' | 'permanent' | 'none';

export interface Neighbour {
  readonly ifindex: number;
  readonly address: Ip;
  readonly mac: Mac | undefined;
  readonly state: NeighbourState;
}

/** A change the kernel reported. `resync`: events were lost (ENOBUFS), dump again. */
export type KernelEvent =
  | { readonly kind: 'link'; readonly change: 'set' | 'gone'; readonly link: Link }
  | { readonly kind: 'address'; readonly change: 'set' | 'gone'; readonly address: Address }
  | { readonly kind: 'route'; readonly change: 'set' | 'gone'; readonly route: Route }
  | { readonly kind: 'neighbour'; readonly change: 'set' | 'gone'; readonly neighbour: Neighbour }
  | { readonly kind: 'resync' };

export type KernelEventKind = Exclude<KernelEvent['kind'], 'resync'>;

/** What the catcher of a KernelError does next. `already` and `gone` are success for idempotent callers. */
export type KernelErrorKind = 'already' | 'gone' | 'retry' | 'capability' | 'unsupported' | 'bug';

/** The names of the operations below, as they stand in a KernelError and in `failNext` of the fake. */
export type KernelOp =
  | `dump ${'links' | 'addresses' | 'routes' | 'rules' | 'neighbours'}`
  | 'find link'
  | `${'set' | 'remove'} ${'address' | 'route'}`
  | `${'add' | 'remove'} rule`
  | 'remove neighbour'
  | 'watch'
  | 'open packet socket'
  | 'send packet'
  | `${'read' | 'write'} sysctl`;

export interface Subscription {
  close(): void;
}

/** A socket that waits for TCP connections. */
export interface TcpListener {
  /** 0.0.0.0 or :: for every address of the node. */
  readonly address: Ip;
  readonly port: number;
  /** False for one at :: that takes IPv4 as well. */
  readonly v6Only: boolean;
}

/** An AF_PACKET socket on one link: whole frames in and out. */
export interface PacketSocket {
  /** Sends one frame, link-layer header included; throws KernelError (a downed link is `retry`). */
  send(frame: Uint8Array): void;
  /** Puts another filter in place of the one it has, with nothing unheard in between; throws KernelError. */
  setFilter(filter: PacketFilter): void;
  close(): void;
}

export interface PacketSocketOptions {
  readonly ifindex: number;
  /** ETH_P_*: 0x0806 ARP, 0x86dd IPv6. */
  readonly etherType: number;
  /** Received frames, header included; absent: send only, nothing is queued for this socket. */
  readonly onFrame?: (frame: Uint8Array) => void;
  /** Only frames that this program accepts reach `onFrame`. */
  readonly filter?: PacketFilter;
}

/** A classic BPF program, at most 4096 instructions (linux/filter.h): [code, jt, jf, k] of each. */
export type PacketFilter = readonly (readonly [number, number, number, number])[];

export interface WatchOptions {
  /**
   * Leaves out that an IPv4 address was set by this very object: who set a thousand knows, and each echo takes as long
   * to read as the address to set. (Of IPv6 Linux does not tell whose doing it was.)
   */
  readonly withoutEcho?: boolean;
}

export interface Kernel {
  links(): Promise<readonly Link[]>;
  /** One link by name, at once (no cache); undefined when there is none. */
  linkByName(name: string): Link | undefined;
  addresses(): Promise<readonly Address[]>;
  /** Adds or changes an address (NLM_F_CREATE | NLM_F_REPLACE). */
  setAddress(request: AddressRequest): void;
  /** Throws KernelError `gone` when it was not there. */
  removeAddress(ifindex: number, address: Ip, prefixLength: number): void;
  /**
   * Many at once, in as few system calls as the kernel allows; item `i` of the result is the error
   * of request `i`, or undefined when it succeeded. Synchronous, and Linux takes longer the more
   * addresses a link has (20 us each on an empty link, 100-200 us with 10 000): hand over about 64.
   */
  setAddresses(requests: readonly AddressRequest[]): readonly (KernelError | undefined)[];
  removeAddresses(keys: readonly AddressKey[]): readonly (KernelError | undefined)[];
  routes(filter?: RouteFilter): Promise<readonly Route[]>;
  setRoute(route: Route): void;
  removeRoute(route: Route): void;
  /** Many at once, as `setAddresses`; Linux takes a few microseconds for each, however many there are. */
  setRoutes(routes: readonly Route[]): readonly (KernelError | undefined)[];
  removeRoutes(routes: readonly Route[]): readonly (KernelError | undefined)[];
  rules(): Promise<readonly Rule[]>;
  addRule(rule: Rule): void;
  removeRule(rule: Rule): void;
  neighbours(): Promise<readonly Neighbour[]>;
  /** Throws KernelError `gone` when there is no such entry. */
  removeNeighbour(ifindex: number, address: Ip): void;
  /** Delivers every change from now on, in order, on the event loop; close to stop. */
  watch(
    kinds: readonly KernelEventKind[],
    onEvent: (event: KernelEvent) => void,
    options?: WatchOptions,
  ): Subscription;
  openPacketSocket(options: PacketSocketOptions): PacketSocket;
  /** `net.ipv4.ip_forward` style names (a dot inside an interface name is written as `/`). */
  readSysctl(name: string): string;
  writeSysctl(name: string, value: string): void;
}

/** Asks the kernel to find out a neighbour's link-layer address; the answer is a `neighbour` event. */
export interface NeighbourResolver {
  resolve(ifindex: number, address: Ip): void;
  close(): void;
}

/** Sends whole IP packets, header included, by the routing table. */
export interface RawIp {
  send(destination: Ip, packet: Uint8Array): void;
  close(): void;
}

/** Where to connect, and what the kernel has to know before the first packet. */
export interface TcpTarget {
  readonly remote: Ip;
  readonly port: number;
  /** Index of the link that a link-local address is on. */
  readonly scopeId?: number;
  readonly localAddress?: Ip;
  /** Name of the link that packets must use. */
  readonly device?: string;
  /** Hop limit of what is sent; the system's own when absent. */
  readonly ttl?: number;
  /** RFC 2385; at most 80 bytes. */
  readonly md5Password?: string;
}

export interface TcpHandlers {
  /** The handshake is over; `local` is our end's address. */
  connected(local: Ip): void;
  data(bytes: Uint8Array): void;
  /** It could not be made, or is no more; called once, and not after `end` or `destroy`. */
  closed(why: string): void;
}

export interface TcpConnection {
  /** Bytes handed to `write` that the kernel has not taken. */
  readonly unsentBytes: number;
  write(bytes: Uint8Array): void;
  /** Sends what was written, then the end of the stream; resolves when the connection is gone. */
  end(): Promise<void>;
  /** At once; what was not sent is lost. */
  destroy(): void;
}

/** Between which ends datagrams go. */
export interface UdpPathOptions {
  readonly remote: Ip;
  /** Where both sides listen; what is sent comes from another one. */
  readonly port: number;
  /** Only what comes from a neighbour on the link is heard: packets with a hop limit of 255. */
  readonly isDirect: boolean;
  /** Index of the link that a link-local address is on. */
  readonly scopeId?: number;
  readonly localAddress?: Ip;
  /** Name of the link that packets must use. */
  readonly device?: string;
}

export interface UdpPath {
  /** Throws KernelError; ECONNREFUSED says that nobody listened when the one before came. */
  send(bytes: Uint8Array): void;
  /** Hands over what has come and was not yet handed over, before this returns: for who is about to judge by silence. */
  hearNow(): void;
  close(): void;
}

/** Throws KernelError when there is no way to the other end now. */
export type OpenUdpPath = (options: UdpPathOptions, onDatagram: (bytes: Uint8Array) => void) => UdpPath;

/** Throws KernelError when the attempt cannot even begin. */
export type ConnectTcp = (target: TcpTarget, handlers: TcpHandlers) => TcpConnection;
