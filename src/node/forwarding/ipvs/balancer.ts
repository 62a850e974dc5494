import { messageOf } from '../../../lib/errors.ts';
import { familyOf, type Family } from '../../../lib/ip.ts';
import type { Ipvs, IpvsServiceKey } from '../../../linux/index.ts';
import { isKernelError } from '../../../linux/errors.ts';
import { specKey, type Balancer } from '../balancer.ts';
import { Cutter } from '../cutter.ts';
import { tableBesideIpvs } from '../nftables/beside-ipvs.ts';
import { Tables } from '../nftables/tables.ts';
import { TABLE } from '../nftables/translation.ts';
import type { ForwardingKernel, Shared } from '../ports.ts';
import { enableForwarding, ensureSysctl } from '../sysctls.ts';
import type { ForwardingState, VirtualServerSpec } from '../types.ts';
import { IpvsConnections } from './connections.ts';
import { assignMarks, endpointName, keysOf, serviceOf } from './desired.ts';
import { planService, serviceKeyText, type IpvsStep, type ServiceState } from './plan.ts';

export interface IpvsBalancerPorts extends ForwardingKernel {
  readonly ipvs: Ipvs;
  readonly shared: Shared;
}

type Endpoint = Pick<VirtualServerSpec, 'vip' | 'port'>;

/**
 * Balances by IPVS. Its services carry no mark of an owner: ours are those of the VIPs and ports that
 * this node is configured for.
 */
export class IpvsBalancer implements Balancer {
  private readonly ports: IpvsBalancerPorts;
  private readonly claims: readonly Endpoint[];
  /** Undefined where the kernel has no nf_tables. */
  private readonly tables: Tables | undefined;
  private readonly cutter: Cutter;
  private readonly held: IpvsConnections;
  private specs: readonly VirtualServerSpec[] | undefined;
  private desired = new Map<string, ServiceState>();
  /** What the kernel has, as far as we know. */
  private believed = new Map<string, ServiceState>();
  private problems = new Map<string, string>();
  private settings: { readonly problem: string } | undefined;
  private isStopped = false;

  constructor(ports: IpvsBalancerPorts, claims: readonly Endpoint[]) {
    this.ports = ports;
    this.claims = claims;
    this.tables = ports.nftables === undefined ? undefined : new Tables(ports.nftables, ports.shared, TABLE);
    this.held = new IpvsConnections(ports.ipvs);
    this.cutter = new Cutter(ports, [this.held]);
  }

  /** Reads what a predecessor left for our VIPs. */
  async start(): Promise<void> {
    await this.tables?.start();
    for (const key of this.claimedKeys()) {
      const found = await this.read(key);
      if (found !== undefined) this.believed.set(serviceKeyText(key), found);
    }
  }

  apply(specs: readonly VirtualServerSpec[]): void {
    const before = this.specs ?? [];
    this.specs = specs;
    const marks = this.marks(specs);
    const marked = specs.flatMap((spec) => {
      const mark = marks.get(endpointName(spec));
      return this.tables !== undefined && isMarked(spec) && mark !== undefined ? [{ spec, mark }] : [];
    });
    const markOf = new Map(marked.map(({ spec, mark }) => [specKey(spec), mark]));
    this.desired = new Map(
      specs.map((spec) => {
        const service = serviceOf(spec, markOf.get(specKey(spec)));
        return [serviceKeyText(service.key), service];
      }),
    );
    void this.prepare(specs);
    const untranslated = specs.filter(({ method }) => method === 'directroute' || method === 'tunnel');
    this.tables?.set(
      (['ip', 'ip6'] as const).flatMap((l3) => tableBesideIpvs(l3, marked, untranslated) ?? []),
    );
    this.change(false, before);
    this.cutter.apply(specs);
  }

  async check(): Promise<void> {
    if (this.specs === undefined || this.hasStopped()) return;
    await this.prepare(this.specs);
    const seen = new Map<string, ServiceState>();
    const keys = [...[...this.desired.values()].map(({ key }) => key), ...this.claimedKeys()];
    for (const key of keys) {
      const found = await this.read(key);
      if (found !== undefined) seen.set(serviceKeyText(key), found);
    }
    if (this.hasStopped()) return;
    this.believed = seen;
    this.change(true);
    // Its own events tell when something changed; this is for a missed one.
    if (this.tables?.isReady === false) await this.tables.check();
  }

  stateOf(spec: VirtualServerSpec): { readonly state: ForwardingState; readonly notes: readonly string[] } {
    const key = [...this.desired.values()].find(({ key: each }) =>
      isKeyOf(each, spec, this.marks(this.specs ?? [])),
    );
    const problem =
      this.settings?.problem ??
      (key === undefined ? undefined : this.problems.get(serviceKeyText(key.key))) ??
      (spec.method === 'masquerade' ? this.tables?.problem : undefined);
    const notes = this.notesOf(spec);
    if (problem !== undefined) return { state: { state: 'failed', reason: problem }, notes };
    return { state: { state: 'ready' }, notes };
  }

  told(): Promise<void> {
    return this.cutter.told();
  }

  stop(): void {
    this.isStopped = true;
    this.tables?.stop();
    this.cutter.close();
  }

  /** Asked after an await: the answer may have changed meanwhile. */
  private hasStopped(): boolean {
    return this.isStopped;
  }

  private notesOf({ method, scheduler, realServers }: VirtualServerSpec): readonly string[] {
    const notes: string[] = [];
    if (method === 'masquerade' && this.tables === undefined) {
      notes.push(
        'this kernel has no nf_tables: the source of packets stays the client, so the servers must route replies through this node',
      );
    }
    if (method === 'bypass') {
      notes.push('bypass routes packets to the VIP itself: on the node that holds it nobody gets them');
    }
    if ((method === 'directroute' || method === 'tunnel') && this.tables === undefined) {
      notes.push(
        'this kernel has no nf_tables: clients on this node itself reach only a server on this node',
      );
    }
    const weights = new Set(
      realServers.filter(({ state }) => state === 'active').map(({ weight }) => weight),
    );
    if ((scheduler === 'rr' || scheduler === 'lc') && weights.size > 1) {
      notes.push(`the IPVS scheduler ${scheduler} takes no weights: use w${scheduler}`);
    }
    return notes;
  }

  private marks(specs: readonly VirtualServerSpec[]): ReadonlyMap<string, number> {
    return assignMarks([...this.claims, ...specs]);
  }

  private claimedKeys(): readonly IpvsServiceKey[] {
    return keysOf(this.claims, this.marks(this.specs ?? []));
  }

  private async read(key: IpvsServiceKey): Promise<ServiceState | undefined> {
    const { ipvs } = this.ports;
    const service = ipvs.service(key);
    if (service === undefined) return undefined;
    try {
      return { ...service, destinations: await ipvs.destinations(key) };
    } catch (error) {
      // Removed since it was read.
      if (isKernelError(error) && ipvs.service(key) === undefined) return undefined;
      throw error;
    }
  }

  /** `before`: the virtual servers that were wanted until now; those that go lose their connections as well. */
  private change(isRepair: boolean, before: readonly VirtualServerSpec[] = []): void {
    const keys = new Set([...this.desired.keys(), ...this.believed.keys()]);
    const plans = [...keys].map((key) => ({
      key,
      steps: planService(this.desired.get(key), this.believed.get(key)),
    }));
    if (!isRepair && plans.some(({ steps }) => steps.some(forgetsConnections))) {
      const specs = this.specs ?? [];
      const gone = before.filter((spec) => !specs.some((other) => specKey(other) === specKey(spec)));
      this.held.remember([...specs, ...gone]);
    }
    for (const { key, steps } of plans) {
      if (steps.length === 0) {
        this.problems.delete(key);
        continue;
      }
      this.run(key, steps, isRepair);
      const desired = this.desired.get(key);
      if (desired !== undefined) this.believed.set(key, desired);
      else this.believed.delete(key);
    }
  }

  private run(key: string, steps: readonly IpvsStep[], isRepair: boolean): void {
    const { counters, log, observer } = this.ports.shared;
    try {
      for (const step of steps) this.step(step);
      this.problems.delete(key);
      counters.changes++;
      if (!isRepair) return;
      counters.repairs++;
      log.warn('somebody else changed our IPVS service, it is back', { service: key, steps: steps.length });
      observer.repaired?.(`IPVS service ${key}`);
    } catch (error) {
      const problem = messageOf(error);
      counters.failures++;
      if (this.problems.get(key) !== problem)
        log.error('an IPVS service could not be made', { service: key, error: problem });
      this.problems.set(key, problem);
      observer.failed?.(`IPVS service ${key}`, error);
    }
  }

  /** "There already" and "not there" are success: the next check looks at the details. */
  private step(step: IpvsStep): void {
    const { ipvs } = this.ports;
    try {
      switch (step.do) {
        case 'add service':
          ipvs.addService(step.service);
          return;
        case 'change service':
          ipvs.changeService(step.service);
          return;
        case 'remove service':
          ipvs.removeService(step.key);
          return;
        case 'add destination':
          ipvs.addDestination(step.key, step.destination);
          return;
        case 'change destination':
          ipvs.changeDestination(step.key, step.destination);
          return;
        case 'remove destination':
          ipvs.removeDestination(step.key, step.destination);
          return;
      }
    } catch (error) {
      if (!isKernelError(error, 'already', 'gone')) throw error;
    }
  }

  private async prepare(specs: readonly VirtualServerSpec[]): Promise<void> {
    const { kernel, shared } = this.ports;
    try {
      if (specs.length > 0) {
        // A connection whose destination is gone ends with its next packet, instead of going nowhere.
        ensureSysctl(kernel, 'net.ipv4.vs.expire_nodest_conn', '1');
      }
      const masqueraded = specs.filter(({ method }) => method === 'masquerade');
      if (masqueraded.length > 0) {
        ensureSysctl(kernel, 'net.ipv4.vs.conntrack', '1');
        const families = new Set<Family>(masqueraded.map(({ vip }) => familyOf(vip)));
        await enableForwarding(kernel, [...families]);
      }
      this.settings = undefined;
    } catch (error) {
      this.settings = { problem: messageOf(error) };
      shared.counters.failures++;
      shared.observer.failed?.('IPVS settings', error);
    }
  }
}

function isMarked({ method }: VirtualServerSpec): boolean {
  return method === 'masquerade';
}

function isKeyOf(key: IpvsServiceKey, spec: VirtualServerSpec, marks: ReadonlyMap<string, number>): boolean {
  if ('mark' in key) return key.mark === marks.get(endpointName(spec)) && key.family === familyOf(spec.vip);
  return key.address === spec.vip && key.port === spec.port;
}

/** With its destination or service IPVS forgets a connection, and conntrack with it. */
function forgetsConnections(step: IpvsStep): boolean {
  return step.do === 'remove destination' || step.do === 'remove service';
}
