import type { Clock } from '../../lib/clock.ts';
import { ip, macFromBytes, type Ip, type Mac } from '../../lib/ip.ts';
import { errnoOf, KernelError } from '../../linux/errors.ts';
import { describeAddress, describeNeighbour, describeRoute, describeRule } from '../../linux/objects.ts';
import type {
  Address,
  AddressKey,
  AddressRequest,
  Kernel,
  KernelEvent,
  KernelEventKind,
  KernelOp,
  Link,
  Neighbour,
  PacketSocket,
  PacketSocketOptions,
  Route,
  RouteFilter,
  Rule,
  Subscription,
  WatchOptions,
} from '../../linux/types.ts';
import { FakeClock } from '../fake-clock.ts';
import { FakeAddresses, plainRequest } from './addresses.ts';
import { FakeEvents } from './events.ts';
import { FakeLinks } from './links.ts';
import { FakeNeighbours } from './neighbours.ts';
import { FakePackets, type SentFrame } from './packets.ts';
import { FakeRoutes } from './routes.ts';
import { showAddress, showLink, showRoute, showRule } from './show.ts';
import { defaultSysctl } from './sysctls.ts';
import { refuse, type FakeLinkOptions, type FakeWorld } from './world.ts';

export interface FakeKernelOptions {
  /** Runs lifetimes and duplicate address detection; a FakeClock of its own by default. */
  readonly clock?: Clock;
  readonly dadMs?: number;
}

/**
 * The kernel in memory, with the rules Linux has (checked by the contract suite, which the real one
 * passes too), and switches for what tests want to happen. Starts with `lo` only; prints itself like `ip`.
 */
export class FakeKernel implements Kernel {
  readonly clock: Clock;
  readonly sysctls = new Map<string, string>([
    ['net.ipv4.ip_forward', '0'],
    ['net.ipv6.conf.all.forwarding', '0'],
  ]);
  private readonly world: FakeWorld;
  private readonly linkTable: FakeLinks;
  private readonly addressTable: FakeAddresses;
  private readonly routeTable: FakeRoutes;
  private readonly packets: FakePackets;
  private readonly neighbourTable: FakeNeighbours;
  private readonly failures = new Map<KernelOp, number[]>();

  constructor(options: FakeKernelOptions = {}) {
    this.clock = options.clock ?? new FakeClock();
    this.world = { clock: this.clock, events: new FakeEvents(), links: new Map(), sysctls: this.sysctls };
    this.addressTable = new FakeAddresses(this.world, { dadMs: options.dadMs ?? 1000 });
    this.routeTable = new FakeRoutes(this.world, this.addressTable);
    this.linkTable = new FakeLinks(this.world, this.addressTable, this.routeTable);
    this.neighbourTable = new FakeNeighbours(this.world);
    this.packets = new FakePackets(this.world);
    this.addressTable.onLastIpv4 = (ifindex) => this.routeTable.lastIpv4Gone(ifindex);
    const lo = this.addLink({
      name: 'lo',
      hardwareType: 772,
      mac: macFromBytes(new Uint8Array(6)),
      mtu: 65536,
    });
    for (const [address, prefixLength] of [['127.0.0.1', 8] as const, ['::1', 128] as const]) {
      this.addressTable.set({ ...plainRequest(lo.index, ip(address), prefixLength), scope: 'host' });
    }
  }

  // The Kernel port.

  links(): Promise<readonly Link[]> {
    return this.dump('dump links', () => [...this.world.links.values()]);
  }

  linkByName(name: string): Link | undefined {
    this.mayFail('find link', name);
    return [...this.world.links.values()].find((link) => link.name === name);
  }

  addresses(): Promise<readonly Address[]> {
    return this.dump('dump addresses', () => this.addressTable.list());
  }

  setAddress(request: AddressRequest): void {
    this.mayFail('set address', describeAddress(request));
    this.world.events.ours(() => this.addressTable.set(request));
  }

  removeAddress(ifindex: number, address: Ip, prefixLength: number): void {
    const key = { ifindex, address, prefixLength };
    this.mayFail('remove address', describeAddress(key));
    this.addressTable.remove(key);
  }

  setAddresses(requests: readonly AddressRequest[]): readonly (KernelError | undefined)[] {
    return requests.map((request) => attempt(() => this.setAddress(request)));
  }

  removeAddresses(keys: readonly AddressKey[]): readonly (KernelError | undefined)[] {
    return keys.map((key) => attempt(() => this.removeAddress(key.ifindex, key.address, key.prefixLength)));
  }

  routes(filter?: RouteFilter): Promise<readonly Route[]> {
    return this.dump('dump routes', () => this.routeTable.list(filter));
  }

  setRoute(route: Route): void {
    this.mayFail('set route', describeRoute(route));
    this.routeTable.set(route);
  }

  removeRoute(route: Route): void {
    this.mayFail('remove route', describeRoute(route));
    this.routeTable.remove(route);
  }

  setRoutes(routes: readonly Route[]): readonly (KernelError | undefined)[] {
    return routes.map((route) => attempt(() => this.setRoute(route)));
  }

  removeRoutes(routes: readonly Route[]): readonly (KernelError | undefined)[] {
    return routes.map((route) => attempt(() => this.removeRoute(route)));
  }

  rules(): Promise<readonly Rule[]> {
    return this.dump('dump rules', () => this.routeTable.listRules());
  }

  addRule(rule: Rule): void {
    this.mayFail('add rule', describeRule(rule));
    this.routeTable.addRule(rule);
  }

  removeRule(rule: Rule): void {
    this.mayFail('remove rule', describeRule(rule));
    this.routeTable.removeRule(rule);
  }

  neighbours(): Promise<readonly Neighbour[]> {
    return this.dump('dump neighbours', () => this.neighbourTable.all());
  }

  removeNeighbour(ifindex: number, address: Ip): void {
    this.mayFail('remove neighbour', describeNeighbour({ ifindex, address }));
    this.neighbourTable.remove(ifindex, address);
  }

  watch(
    kinds: readonly KernelEventKind[],
    onEvent: (event: KernelEvent) => void,
    options?: WatchOptions,
  ): Subscription {
    this.mayFail('watch', kinds.join(' '));
    return this.world.events.watch(kinds, onEvent, options);
  }

  openPacketSocket(options: PacketSocketOptions): PacketSocket {
    const object = `on link ${options.ifindex}`;
    this.mayFail('open packet socket', object);
    return this.packets.open(options, () => this.mayFail('send packet', object));
  }

  readSysctl(name: string): string {
    this.mayFail('read sysctl', name);
    const value = this.sysctls.get(name) ?? defaultSysctl(name, (link) => this.hasLink(link));
    return value ?? refuse('read sysctl', errnoOf.ENOENT, name);
  }

  writeSysctl(name: string, value: string): void {
    this.readSysctl(name);
    this.mayFail('write sysctl', name);
    this.sysctls.set(name, value);
  }

  // What a test makes happen.

  /** The next `times` calls of this operation throw KernelError with this errno, before any effect. */
  failNext(op: KernelOp, errno: number, times = 1): void {
    this.failures.set(op, [...(this.failures.get(op) ?? []), ...Array<number>(times).fill(errno)]);
  }

  addLink(options: FakeLinkOptions): Link {
    return this.linkTable.add(options);
  }

  /** The link disappears with all that is on it. */
  removeLink(name: string): void {
    this.linkTable.remove(name);
  }

  /** Removes the link and makes one of the same name, with another ifindex. */
  recreateLink(name: string): Link {
    return this.linkTable.recreate(name);
  }

  /** `ip link set NAME down`: IPv6 addresses and routes go, IPv4 addresses stay. */
  setLinkDown(name: string): void {
    this.linkTable.setDown(name);
  }

  setLinkUp(name: string): void {
    this.linkTable.change(name, { adminUp: true, carrier: true });
  }

  /** The cable: addresses stay, frames do not pass. */
  setCarrier(name: string, carrier: boolean): void {
    this.linkTable.change(name, { carrier });
  }

  /** `ip link set NAME address MAC`, as a bond does when its active port changes. */
  setMac(name: string, mac: Mac): void {
    this.linkTable.change(name, { mac });
  }

  setMaster(name: string, master: number | undefined): void {
    this.linkTable.change(name, { master });
  }

  /** Somebody else runs `ip addr replace`; never fails on purpose. */
  putAddress(
    name: string,
    address: string,
    prefixLength: number,
    request: Partial<AddressRequest> = {},
  ): void {
    this.addressTable.set({ ...plainRequest(this.link(name).index, ip(address), prefixLength), ...request });
  }

  /** Somebody else runs `ip addr del`. */
  takeAddress(name: string, address: string, prefixLength: number): void {
    this.addressTable.remove({ ifindex: this.link(name).index, address: ip(address), prefixLength });
  }

  /** Another host owns this IPv6 address: its next duplicate address detection fails. */
  failDad(address: string): void {
    this.addressTable.conflict(ip(address));
  }

  setNeighbour(neighbour: Neighbour): void {
    this.neighbourTable.set(neighbour);
  }

  /** Changes made by `during` are not reported; then every watcher gets `resync`. */
  loseEvents(during: () => void = () => undefined): void {
    this.world.events.lose(during);
  }

  /** A frame arrives from the wire. */
  deliver(name: string, frame: Uint8Array): void {
    this.packets.deliver(this.link(name).index, frame);
  }

  /** Every frame sent so far, oldest first. */
  get frames(): readonly SentFrame[] {
    return this.packets.sent;
  }

  onSend(callback: (frame: SentFrame) => void): void {
    this.packets.onSend = callback;
  }

  /** Open subscriptions and packet sockets, for tests of stopping. */
  get openHandles(): { readonly watchers: number; readonly packetSockets: number } {
    return { watchers: this.world.events.watcherCount, packetSockets: this.packets.openCount };
  }

  /** The link of this name; a test that asks for one it did not make is wrong. */
  link(name: string): Link {
    return this.linkTable.get(name);
  }

  // Text, for comparison.

  showLinks(): string {
    return [...this.world.links.values()].map(showLink).join('\n');
  }

  /** Addresses of one link or of all; with `protocol`, only those that carry this owner mark. */
  showAddresses(options: { readonly link?: string; readonly protocol?: number } = {}): string {
    return this.addressTable
      .list()
      .filter(({ protocol }) => options.protocol === undefined || protocol === options.protocol)
      .filter(({ ifindex }) => options.link === undefined || this.linkName(ifindex) === options.link)
      .map((address) =>
        showAddress(address, this.linkName(address.ifindex), this.addressTable.isSecondary(address)),
      )
      .join('\n');
  }

  showRoutes(filter: RouteFilter = {}): string {
    return this.routeTable
      .list(filter)
      .map((route) => showRoute(route, (ifindex) => this.linkName(ifindex)))
      .join('\n');
  }

  showRules(): string {
    return this.routeTable.listRules().map(showRule).join('\n');
  }

  show(): string {
    return [this.showLinks(), this.showAddresses(), this.showRoutes(), this.showRules()].join('\n');
  }

  toString(): string {
    return this.show();
  }

  private async dump<T>(op: KernelOp, read: () => readonly T[]): Promise<readonly T[]> {
    this.mayFail(op, '');
    await new Promise<void>((resolve) => setImmediate(resolve));
    return read();
  }

  private mayFail(op: KernelOp, object: string): void {
    const errno = this.failures.get(op)?.shift();
    if (errno !== undefined) refuse(op, errno, object);
  }

  private hasLink(name: string): boolean {
    return [...this.world.links.values()].some((link) => link.name === name);
  }

  private linkName(ifindex: number): string {
    return this.world.links.get(ifindex)?.name ?? `if${ifindex}`;
  }
}

function attempt(change: () => void): KernelError | undefined {
  try {
    change();
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}
