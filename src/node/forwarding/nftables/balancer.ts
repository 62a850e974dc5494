import { familyOf, type Family } from '../../../lib/ip.ts';
import { messageOf } from '../../../lib/errors.ts';
import { isKernelError } from '../../../linux/errors.ts';
import type { Balancer } from '../balancer.ts';
import { specKey } from '../balancer.ts';
import { Cutter } from '../cutter.ts';
import { Neighbourhood } from '../neighbourhood.ts';
import type { ForwardingKernel, Shared } from '../ports.ts';
import { enableForwarding, silenceRedirects } from '../sysctls.ts';
import type { ForwardingState, RealServer, VirtualServerSpec } from '../types.ts';
import { directReturnTable } from './direct-return.ts';
import { FlowMemory } from './flow-memory.ts';
import { markOf } from './marks.ts';
import { Places } from './places.ts';
import { nameOf, translated, type DirectPath, type DirectServer, type Service } from './service.ts';
import { Tables } from './tables.ts';
import { TABLE, translationTable } from './translation.ts';

export interface NftablesBalancerPorts extends ForwardingKernel {
  readonly nftables: NonNullable<ForwardingKernel['nftables']>;
  readonly shared: Shared;
}

interface Found {
  readonly service: Service | undefined;
  readonly state: ForwardingState;
  readonly notes: readonly string[];
}

/** Balances by nf_tables rules: by translation, or by direct return. */
export class NftablesBalancer implements Balancer {
  private readonly ports: NftablesBalancerPorts;
  private readonly tables: Tables;
  private readonly neighbourhood: Neighbourhood;
  private readonly cutter: Cutter;
  private specs: readonly VirtualServerSpec[] = [];
  private found = new Map<string, Found>();
  /** Those that have gone, and whose flow memory stays until it has been read: their clients are to be told. */
  private left: readonly Service[] = [];
  private readonly places = new Places();
  /** Links whose redirects could not be turned off. */
  private readonly loud = new Set<string>();
  private forwarding = new Map<Family, 'on' | 'coming' | { readonly problem: string }>();

  constructor(ports: NftablesBalancerPorts) {
    this.ports = ports;
    const { shared, kernel, resolver, nftables } = ports;
    this.tables = new Tables(nftables, shared, TABLE);
    this.neighbourhood = new Neighbourhood({
      kernel,
      resolver,
      clock: shared.clock,
      onChange: () => this.update(),
      onError: (error) => this.unexpected('neighbours', error),
    });
    this.cutter = new Cutter(ports, [new FlowMemory(nftables)], () => {
      if (this.left.length === 0) return;
      this.left = [];
      this.update();
    });
  }

  start(): Promise<void> {
    return this.tables.start();
  }

  apply(specs: readonly VirtualServerSpec[]): void {
    const gone = this.specs.filter((spec) => !specs.some((other) => specKey(other) === specKey(spec)));
    this.left = [
      ...this.left,
      ...gone.flatMap((spec) => this.found.get(specKey(spec))?.service ?? []),
    ].filter(({ name, direct }) => direct !== undefined && !specs.some((spec) => nameOf(spec) === name));
    this.specs = specs;
    this.passPackets([...new Set(specs.map(({ vip }) => familyOf(vip)))]);
    this.silence(specs);
    this.neighbourhood.want(
      specs
        .filter(isDirect)
        .flatMap(({ link, realServers }) => realServers.map(({ address }) => ({ link, address }))),
    );
    this.update();
    this.cutter.apply(specs);
  }

  check(): Promise<void> {
    this.passPackets([...this.forwarding.keys()]);
    this.silence(this.specs);
    return this.tables.check();
  }

  stateOf(spec: VirtualServerSpec): { readonly state: ForwardingState; readonly notes: readonly string[] } {
    const found = this.found.get(specKey(spec));
    const notes = found?.notes ?? [];
    const forwarding = this.forwarding.get(familyOf(spec.vip));
    if (typeof forwarding === 'object')
      return { state: { state: 'failed', reason: forwarding.problem }, notes };
    if (found !== undefined && found.state.state !== 'ready') return { state: found.state, notes };
    if (this.tables.problem !== undefined)
      return { state: { state: 'failed', reason: this.tables.problem }, notes };
    const isReady = this.tables.isReady && forwarding !== 'coming';
    return {
      state: isReady ? { state: 'ready' } : { state: 'waiting', reason: 'reading the kernel' },
      notes,
    };
  }

  told(): Promise<void> {
    return this.cutter.told();
  }

  stop(): void {
    this.tables.stop();
    this.neighbourhood.close();
    this.cutter.close();
  }

  /** The rules for what is wanted, with what is known now. */
  private update(): void {
    this.places.keep(this.specs.map((spec) => ({ name: nameOf(spec) })));
    this.found = new Map(this.specs.map((spec) => [specKey(spec), this.find(spec)]));
    // Until then what is there stays, a predecessor's flow memory above all.
    if (this.mustLookFirst()) return;
    const services = [...this.found.values()].flatMap(({ service }) => service ?? []);
    this.tables.set(
      [
        translationTable('ip', services),
        translationTable('ip6', services),
        directReturnTable(services, this.left),
      ].flatMap((table) => table ?? []),
    );
  }

  private mustLookFirst(): boolean {
    return !this.neighbourhood.isKnown && this.specs.some(isDirect);
  }

  private find(spec: VirtualServerSpec): Found {
    const service = this.places.settle(translated(spec));
    switch (spec.method) {
      case 'directroute':
        return isDirect(spec) ? this.findDirect(spec, service) : { service, state: ready, notes: [] };
      case 'local':
        return { service: undefined, state: ready, notes: ['connections go to the server on this node'] };
      case 'masquerade':
      case 'tunnel':
      case 'bypass':
        return { service, state: ready, notes: notesOf(spec) };
    }
  }

  private findDirect(spec: VirtualServerSpec, service: Service): Found {
    const { link: name, vip } = spec;
    const { servers: all } = service;
    const waiting = (reason: string): Found => ({
      service: undefined,
      state: { state: 'waiting', reason },
      notes: [],
    });
    if (!this.neighbourhood.isKnown) return waiting('reading the kernel');
    const link = this.neighbourhood.link(name);
    if (link === undefined) return waiting(`there is no link ${name}`);
    const isHere = ({ address }: RealServer): boolean =>
      this.neighbourhood.isOwn(address) || this.neighbourhood.isOnLink(link.ifindex, address);
    const remote = all.filter((server) => !isHere(server));
    const servers = all.filter(isHere);
    const refused = remote.map(
      ({ address }) =>
        `${address} is not on link ${name}: direct return reaches only neighbours, so it gets no connections`,
    );
    if (servers.length === 0 && refused[0] !== undefined) {
      return { service: undefined, state: { state: 'failed', reason: refused[0] }, notes: refused };
    }
    const neighbour = servers.find(({ address }) => !this.neighbourhood.isOwn(address));
    const source =
      neighbour === undefined ? undefined : this.neighbourhood.sourceFor(link.ifindex, neighbour.address);
    const direct: DirectPath = {
      link: name,
      ifindex: link.ifindex,
      mac: link.mac,
      servers: servers
        .filter(({ state }) => state !== 'dead')
        .map((server) => this.directServer(link.ifindex, server)),
    };
    const silent = direct.servers.find(({ server, via }) => server.state === 'active' && via === undefined);
    const reason = `${silent?.server.address ?? ''} has not answered on link ${name} yet: it is served by translation`;
    return {
      service: { ...service, servers, source: source ?? vip, direct },
      state: silent === undefined ? ready : { state: 'waiting', reason },
      notes: [...refused, ...notesOf(spec)],
    };
  }

  private directServer(ifindex: number, server: RealServer): DirectServer {
    const via = this.neighbourhood.isOwn(server.address)
      ? 'this node'
      : this.neighbourhood.macOf(ifindex, server.address);
    return { server, mark: markOf(server.address), via };
  }

  private passPackets(families: readonly Family[]): void {
    for (const family of families) {
      if (this.forwarding.get(family) === 'coming') continue;
      if (this.forwarding.get(family) !== 'on') this.forwarding.set(family, 'coming');
      enableForwarding(this.ports.kernel, [family]).then(
        () => this.forwarding.set(family, 'on'),
        (error: unknown) => {
          this.forwarding.set(family, { problem: messageOf(error) });
          this.unexpected(`IPv${family} forwarding`, error);
        },
      );
    }
  }

  /** Not worth more than a line in the log when it cannot be had: connections work all the same. */
  private silence(specs: readonly VirtualServerSpec[]): void {
    const translating = specs.filter(({ vip, method }) => familyOf(vip) === 4 && method !== 'local');
    for (const link of new Set(translating.map((spec) => spec.link))) {
      try {
        silenceRedirects(this.ports.kernel, link);
        this.loud.delete(link);
      } catch (error) {
        if (isKernelError(error, 'gone') || this.loud.has(link)) continue;
        this.loud.add(link);
        this.ports.shared.log.info('redirects cannot be turned off', { link, error: messageOf(error) });
      }
    }
  }

  private unexpected(what: string, error: unknown): void {
    const { counters, log, observer } = this.ports.shared;
    counters.failures++;
    log.warn('forwarding is not complete', { what, error: messageOf(error) });
    observer.failed?.(what, error);
  }
}

/** Without servers there is nothing to find on the link. */
function isDirect({ method, realServers }: VirtualServerSpec): boolean {
  return method === 'directroute' && realServers.length > 0;
}

const ready = { state: 'ready' } as const;

function notesOf({ scheduler }: VirtualServerSpec): readonly string[] {
  return scheduler === 'lc' || scheduler === 'wlc'
    ? [`nftables does not count connections: ${scheduler} is served as weighted round robin`]
    : [];
}
