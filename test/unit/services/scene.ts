import { createElection, createUncontestedElection } from '../../../src/election/index.ts';
import { formatPrefix, ip, type Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { createNode, type Holding, type Node } from '../../../src/node/index.ts';
import { servicesNews } from '../../../src/manager/services-news.ts';
import { createMetrics } from '../../../src/observe/index.ts';
import {
  LocalLinks,
  NodeAddresses,
  projectService,
  ServicesOperator,
  SliceProjector,
  type EndpointSlice,
  type Service,
  type ServicesOptions,
} from '../../../src/services/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { FakeNftables } from '../../../src/testing/fake-nftables.ts';
import { MemoryLease, memoryLeaseStore } from '../../../src/testing/memory-lease.ts';

const global = 'kube-system/plndr-svcs-lock';
/** A watch proves that it hears every so often, at the longest. */
const proofMs = 14_000;
/** How long a list takes. */
const listMs = 10;

export const defaults: Omit<ServicesOptions, 'node'> = {
  legacyClass: true,
  classOnly: false,
  className: 'kube-vip.io/kube-vip-class',
  perServiceElection: false,
  electionOnDemand: false,
  globalLease: global,
  dnsMode: 'first',
  mainLink: 'eth0',
  servicesLink: '',
  prefix4: 32,
  prefix6: 128,
  globalScopeOnLo: false,
  noDad: false,
  mark: 249,
  reserved: new Map(),
  announcePeriodMs: 3000,
  reach: 'layer2',
  attach: false,
  guarded: false,
  leaseDurationMs: 5000,
  renewDeadlineMs: 3000,
  preserve: false,
  debounceMs: 0,
  leftoverGraceMs: 3000,
  writeStatus: true,
  everyNode: false,
};

export interface Wish {
  readonly name: string;
  readonly vip: string;
  readonly policy?: 'Cluster' | 'Local';
  readonly annotations?: Readonly<Record<string, string>>;
  readonly created?: string;
  readonly port?: number;
  readonly type?: string;
  /** `spec.loadBalancerSourceRanges` */
  readonly from?: readonly string[];
  readonly ipFamilies?: readonly string[];
  readonly ipFamilyPolicy?: string;
  readonly spec?: Service['spec'];
  /** Addresses in its status. */
  readonly ingress?: readonly string[];
}

/** One node with the operator under test on a fake kernel. */
export class TestNode {
  readonly name: string;
  readonly kernel: FakeKernel;
  readonly operator: ServicesOperator;
  readonly stop = new AbortController();
  readonly ended: Promise<void>;
  /** What the operator told, in order. */
  readonly story: string[] = [];
  /** Events, as `service reason message`. */
  readonly told: string[] = [];
  /** What it asked to be written: `key ip:port/proto,...`. */
  readonly statuses: string[] = [];
  /** Services in which it asked to be named as the host. */
  readonly hostOf = new Set<string>();
  readonly metrics = createMetrics();
  /** How often a place for a VIP was looked for. */
  placed = 0;
  /** Set: no call to the API gets through. */
  isCutOff = false;
  /** Set: nothing that its watches should tell arrives. */
  isDeaf = false;
  /** Up to when its watch has proven to tell everything; moves on every `proofMs` while it is not deaf. */
  provenAt = 0;
  /** What its elections draw: the lowest is the fastest. */
  luck = 0.5;
  /** Unset: its lists fail. */
  canList = true;
  /** How often it asked for a new list. */
  refreshes = 0;
  /** Called whenever the specs of so many Services have gone to the node. */
  published: (services: number) => void = () => undefined;
  /** Set: this machine throws at whoever asks something of it. */
  isBroken = false;
  private readonly node: Node;
  private readonly known = new Map<string, Service>();
  readonly nodeAddresses: NodeAddresses;

  /** Used where Services are guarded. */
  readonly nftables: FakeNftables;

  private constructor(
    world: World,
    name: string,
    kernel: FakeKernel,
    node: Node,
    local: LocalLinks,
    nftables: FakeNftables,
  ) {
    this.nftables = nftables;
    this.name = name;
    this.kernel = kernel;
    this.node = node;
    const { clock } = world;
    const news = servicesNews(
      this.metrics,
      { record: () => undefined },
      silentLogger,
      global,
      () => undefined,
    );
    this.nodeAddresses = new NodeAddresses(name, (addresses) => {
      this.operator.nodesChanged(addresses);
    });
    this.operator = new ServicesOperator(
      {
        node: {
          publishAll: (wishes) => {
            if (this.isBroken) throw new Error('broken');
            node.publishAll(wishes);
            this.published(wishes.length);
          },
        },
        sweep: (keep) => node.sweep(({ address }) => address.protocol === 249 && !keep(address.address)),
        elect: (lease) => {
          if (!world.isContested && lease === global) return createUncontestedElection(name);
          return createElection(
            {
              store: memoryLeaseStore(world.lease(lease), {
                name: lease,
                before: () => {
                  if (this.isCutOff) throw new Error('cut off');
                },
              }),
              clock,
              random: () => this.luck,
              log: silentLogger,
            },
            { identity: name, leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 },
          );
        },
        local: {
          hasLink: (link) => {
            if (this.isBroken) throw new Error('broken');
            this.placed++;
            return local.hasLink(link);
          },
          ownAddresses: () => local.ownAddresses(),
          ownerOf: (address) => local.ownerOf(address),
          nodeOf: (address) => this.nodeAddresses.nodeOf(address),
        },
        resolve: (name) => world.resolve(name),
        view: {
          provenAt: () => this.provenAt,
          refresh: () => {
            this.refreshes++;
            world.list(this);
          },
        },
        status: {
          want: (key, { ingress, vipHost }) => {
            const text = ingress.map(({ ip: vip, ports }) => `${vip}:${ports?.map((p) => p.port).join('+')}`);
            const line = `${key} ${text.join(',')}`;
            if (this.statuses.at(-1) !== line) this.statuses.push(line);
            if (vipHost !== undefined) this.hostOf.add(key);
          },
          drop: (key) => this.statuses.push(`${key} dropped`),
        },
        clock,
        log: silentLogger,
        observer: {
          advertising: (key, now) => this.story.push(`${now ? '+' : '-'} ${key}`),
          notice: ({ metadata }, { reason, message }) => {
            this.story.push(`! ${metadata.name} ${reason}`);
            this.told.push(`${metadata.name} ${reason} ${message}`);
          },
          reconciled: (key, seconds, failure) => {
            news.reconciled?.(key, seconds, failure);
            if (failure !== undefined) this.story.push(`failure ${key} ${failure}`);
          },
          gone: (key) => {
            news.gone?.(key);
            this.story.push(`gone ${key}`);
          },
          electing: (...what) => news.electing?.(...what),
          campaign: (...what) => news.campaign?.(...what),
        },
      },
      { ...defaults, ...world.options, node: name },
    );
    this.ended = this.operator.run(this.stop.signal);
  }

  static async start(world: World, name: string, kernel: FakeKernel): Promise<TestNode> {
    const { clock } = world;
    const nftables = new FakeNftables();
    const guards = { nftables, table: 'guard' };
    const guarding = world.options.guarded === true ? { guards } : {};
    const routes = world.options.reach === 'route' ? { routes: { table: 198, protocol: 248, type: 1 } } : {};
    const observer = {
      heldBack: (vip: Ip, by: Holding, problem: string | undefined) => {
        made.operator.heldBack(vip, by, problem);
      },
    };
    const node = createNode({ kernel, clock, log: silentLogger, observer, ...guarding }, routes);
    await node.start();
    const local = new LocalLinks({ kernel, clock, random: () => 0.5, log: silentLogger });
    const made: TestNode = new TestNode(world, name, kernel, node, local, nftables);
    await local.start((change) => {
      made.operator.linksChanged(change);
    }, made.stop.signal);
    return made;
  }

  /** What its watch of Services tells. */
  hears(key: string, now: Service | undefined): void {
    const before = this.known.get(key);
    if (before === now) return;
    if (now !== undefined) {
      this.known.set(key, now);
      this.operator.servicesListener.changed?.(key, now, before);
    } else if (before !== undefined) {
      this.known.delete(key);
      this.operator.servicesListener.removed?.(key, before);
    }
  }

  /** A complete list of Services that was asked for then. */
  lists(services: ReadonlyMap<string, Service>, askedAt: number): void {
    for (const [key, service] of services) this.hears(key, service);
    for (const key of [...this.known.keys()]) if (!services.has(key)) this.hears(key, undefined);
    this.provenAt = Math.max(this.provenAt, askedAt);
    this.operator.servicesListener.synced?.(services);
  }

  /** VIPs on the node, as `address/length@link`. */
  vips(): readonly string[] {
    return this.kernel
      .showAddresses()
      .split('\n')
      .filter((line) => line.includes(' deprecated '))
      .map((line) => /^\d+: (\S+) inet6? (\S+)/.exec(line))
      .map((match) => `${match?.[2] ?? ''}@${match?.[1] ?? ''}`)
      .sort();
  }

  has(vip: string): boolean {
    return this.vips().some((entry) => entry.startsWith(`${vip}/`));
  }

  /** Routes in our table, as `vip/length`. */
  async routes(): Promise<readonly string[]> {
    const found = await this.kernel.routes({ table: 198 });
    return found.map(({ destination }) => `${destination?.address}/${destination?.length}`).sort();
  }

  /** Links on which a VIP is wanted in this way. */
  specs(vip: string, kind: 'address' | 'route'): readonly string[] {
    return this.node
      .status()
      .flatMap(({ spec }) => (spec.vip === vip && spec.kind === kind ? [spec.link] : []));
  }

  /** What is let in, as `vip protocol/port from ranges`. */
  guards(): readonly string[] {
    return this.node.status().flatMap(({ spec }) => {
      if (spec.kind !== 'guard') return [];
      return spec.ports.map(({ protocol, port, sources }) => {
        const from = sources === undefined ? '' : ` from ${sources.map(formatPrefix).join()}`;
        return `${spec.vip} ${protocol}/${port}${from}`;
      });
    });
  }

  /** The process is gone at once: the kernel keeps what it has. */
  die(): void {
    this.isCutOff = true;
    this.node.close();
    this.kernel.failNext('remove address', 1, 1_000_000);
    this.stop.abort();
  }
}

/** Several nodes over the same leases and objects; what is put here reaches every node at once. */
export class World {
  readonly clock = new FakeClock();
  readonly nodes: TestNode[] = [];
  readonly options: Partial<ServicesOptions>;
  /** False: every node holds the common lease, as in modes without election. */
  isContested = true;
  /** Instants at which an address was on two nodes. */
  readonly doubles: string[] = [];
  private readonly leases = new Map<string, MemoryLease>();
  private readonly services = new Map<string, Service>();
  private readonly slices = new Map<string, EndpointSlice>();
  private readonly projector = new SliceProjector();
  private version = 0;

  /** What the resolver of every node knows. */
  readonly hosts = new Map<string, readonly string[]>();
  questions = 0;

  constructor(options: Partial<ServicesOptions> = {}) {
    this.options = options;
  }

  resolve(name: string): Promise<readonly Ip[]> {
    this.questions++;
    const found = this.hosts.get(name);
    return found === undefined ? Promise.reject(new Error(`no such name`)) : Promise.resolve(found.map(ip));
  }

  lease(key: string): MemoryLease {
    const lease = this.leases.get(key) ?? new MemoryLease();
    this.leases.set(key, lease);
    return lease;
  }

  holderOf(lease: string): string | undefined {
    return this.leases.get(lease)?.current?.record.holderIdentity;
  }

  leaseNames(): readonly string[] {
    return [...this.leases.keys()].sort();
  }

  newKernel(): FakeKernel {
    const kernel = new FakeKernel({ clock: this.clock });
    kernel.addLink({ name: 'eth0' });
    return kernel;
  }

  /** A node that has listed everything there is. */
  async add(name: string, kernel: FakeKernel = this.newKernel()): Promise<TestNode> {
    const node = await this.addUnsynced(name, kernel);
    this.sync(node);
    return node;
  }

  async addUnsynced(name: string, kernel: FakeKernel = this.newKernel()): Promise<TestNode> {
    const node = await TestNode.start(this, name, kernel);
    this.nodes.push(node);
    return node;
  }

  sync(node: TestNode): void {
    const { operator } = node;
    node.lists(this.services, this.clock.now());
    for (const [key, slice] of this.slices) operator.slicesListener.changed?.(key, slice, undefined);
    operator.slicesListener.synced?.(this.slices);
  }

  /** The node asks for a list of Services: now, or as soon as its calls get through. */
  list(node: TestNode): void {
    const asked = this.clock.now();
    this.clock.after('list', listMs, () => {
      if (node.isCutOff || !node.canList) this.list(node);
      else node.lists(this.services, asked);
    });
  }

  /** What it has missed arrives, and its watch goes on. */
  catchUp(node: TestNode): void {
    node.isDeaf = false;
    node.lists(this.services, this.clock.now());
  }

  put(wish: Wish): void {
    const { name, vip, policy = 'Cluster', annotations = {}, created, port = 80, type, from } = wish;
    const { ipFamilies, ipFamilyPolicy } = wish;
    const key = `shop/${name}`;
    const addresses = vip === '' ? {} : { 'kube-vip.io/loadbalancerIPs': vip };
    const raw: Service = {
      metadata: {
        name,
        namespace: 'shop',
        resourceVersion: String(++this.version),
        creationTimestamp: created ?? '2026-01-01T00:00:00Z',
        annotations: { ...addresses, ...annotations },
      },
      spec: {
        type: type ?? 'LoadBalancer',
        externalTrafficPolicy: policy,
        ports: [{ port }],
        ...(from === undefined ? {} : { loadBalancerSourceRanges: from }),
        ...(ipFamilies === undefined ? {} : { ipFamilies }),
        ...(ipFamilyPolicy === undefined ? {} : { ipFamilyPolicy }),
        ...wish.spec,
      },
      ...(wish.ingress === undefined
        ? {}
        : { status: { loadBalancer: { ingress: wish.ingress.map((address) => ({ ip: address })) } } }),
    };
    const now = projectService(raw);
    this.services.set(key, now);
    for (const node of this.hearing()) node.hears(key, now);
  }

  remove(name: string): void {
    const key = `shop/${name}`;
    this.services.delete(key);
    for (const node of this.hearing()) node.hears(key, undefined);
  }

  /** Endpoints of a Service: node names, with `~` in front when terminating. */
  endpoints(service: string, ...places: readonly string[]): void {
    this.slice(`${service}-1`, service, {}, places);
  }

  slice4(service: string, ...places: readonly string[]): void {
    this.slice(`${service}-4`, service, { addressType: 'IPv4' }, places);
  }

  endpoints6(service: string, ...places: readonly string[]): void {
    this.slice(`${service}-6`, service, { addressType: 'IPv6' }, places);
  }

  removeSlice(name: string): void {
    const key = `shop/${name}`;
    const before = this.slices.get(key);
    this.slices.delete(key);
    if (before === undefined) return;
    for (const { operator } of this.nodes) operator.slicesListener.removed?.(key, before);
  }

  private slice(
    name: string,
    service: string,
    type: { readonly addressType?: string },
    places: readonly string[],
  ): void {
    const key = `shop/${name}`;
    const before = this.slices.get(key);
    const now = this.projector.slice({
      metadata: {
        name,
        namespace: 'shop',
        labels: { 'kubernetes.io/service-name': service },
      },
      ...type,
      endpoints: places.map((place) => ({
        addresses: ['10.1.0.1'],
        nodeName: place.replace('~', ''),
        conditions: { ready: !place.startsWith('~'), serving: true, terminating: place.startsWith('~') },
      })),
    } as EndpointSlice);
    this.slices.set(key, now);
    for (const { operator } of this.hearing()) operator.slicesListener.changed?.(key, now, before);
  }

  private hearing(): readonly TestNode[] {
    return this.nodes.filter(({ isDeaf }) => !isDeaf);
  }

  /** A Service with an endpoint on every node. */
  serve(wish: Wish): void {
    this.endpoints(wish.name, 'a', 'b', 'c');
    this.put(wish);
  }

  /** Nodes that carry the address. */
  holders(vip: string): readonly string[] {
    return this.nodes.filter((node) => node.has(vip)).map(({ name }) => name);
  }

  /** Time passes in small steps; after each, no address may be on two nodes. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 20) {
      await this.clock.advance(20);
      const now = this.clock.now();
      for (const node of this.hearing()) if (now - node.provenAt >= proofMs) node.provenAt = now;
      const seen = new Map<string, string>();
      for (const { name, kernel } of this.nodes) {
        for (const [, vip = ''] of kernel.showAddresses().matchAll(/inet6? (\S+)\/\d+ .*deprecated/g)) {
          const other = seen.get(vip);
          if (other !== undefined) this.doubles.push(`${this.clock.now()} ${vip} on ${other} and ${name}`);
          seen.set(vip, name);
        }
      }
    }
  }

  async close(): Promise<void> {
    for (const node of this.nodes) node.stop.abort();
    await this.clock.advance(0);
    await Promise.all(this.nodes.map(({ ended }) => ended));
  }
}
