import { messageOf } from '../../lib/errors.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { errnoOf, KernelError } from '../../linux/errors.ts';
import { specKey, type Balancer } from './balancer.ts';
import type { Choice } from './choose.ts';
import { newCounters } from './counters.ts';
import { IpvsBalancer } from './ipvs/balancer.ts';
import { removeServices } from './ipvs/desired.ts';
import { NftablesBalancer } from './nftables/balancer.ts';
import type { ForwardingKernel, Shared } from './ports.ts';
import { RealServerRole } from './real-server-role.ts';
import { refusal } from './refusals.ts';
import type {
  Forwarding,
  ForwardingObserver,
  ForwardingSpec,
  ForwardingSpecStatus,
  ForwardingStatus,
  RealServerRoleSpec,
  VirtualServerSpec,
} from './types.ts';

export interface ForwardingComponents extends ForwardingKernel {
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer?: ForwardingObserver;
}

export interface ForwardingOptions {
  /** From `chooseBackend`. */
  readonly choice: Choice;
  /** VIPs and ports this node is configured for: what a predecessor left for them in IPVS is ours to remove. */
  readonly claims?: readonly Pick<VirtualServerSpec, 'vip' | 'port'>[];
}

/** IPVS sends no events, so it is asked; nf_tables does, and is asked in case one was missed. */
const checkMs = { ipvs: 200, nftables: 10_000 } as const;

/**
 * The reconciler of virtual servers. Throws KernelError `unsupported` when the chosen back-end is not
 * there; call `start` before anything is expected to happen.
 */
export function createForwarding(components: ForwardingComponents, options: ForwardingOptions): Forwarding {
  return new NodeForwarding(components, options);
}

class NodeForwarding implements Forwarding {
  private readonly choice: Choice;
  private readonly shared: Shared;
  private readonly balancer: Balancer;
  private readonly role: RealServerRole;
  private readonly ipvs: ForwardingKernel['ipvs'];
  private readonly claims: NonNullable<ForwardingOptions['claims']>;
  private specs: readonly ForwardingSpec[] = [];
  private refused = new Map<string, string>();
  private isStarted = false;
  private timer: Timer | undefined;

  constructor(components: ForwardingComponents, { choice, claims = [] }: ForwardingOptions) {
    const { clock, observer = {} } = components;
    this.choice = choice;
    this.ipvs = components.ipvs;
    this.claims = claims;
    this.shared = { clock, log: components.log.child('forwarding'), observer, counters: newCounters() };
    this.balancer = makeBalancer(choice, components, this.shared, claims);
    this.role = new RealServerRole({ ...components, shared: this.shared });
  }

  async start(): Promise<void> {
    if (this.choice.backend === 'nftables' && this.ipvs !== undefined) {
      const services = removeServices(this.ipvs, this.claims);
      if (services > 0) this.shared.log.info('a predecessor balanced with IPVS', { services });
    }
    await this.balancer.start();
    await this.role.start();
    this.isStarted = true;
    this.shared.log.info('balancing in the kernel', {
      backend: this.choice.backend,
      reason: this.choice.reason,
    });
    this.arm();
  }

  set(specs: readonly ForwardingSpec[]): void {
    this.specs = specs;
    const servers = specs.filter(isVirtualServer);
    this.refused = new Map();
    for (const spec of servers) {
      const reason = refusal(spec, this.choice.backend);
      if (reason === undefined) continue;
      this.refused.set(specKey(spec), reason);
      this.shared.log.error('a virtual server cannot be as it is configured', { vip: spec.vip, reason });
    }
    this.role.apply(specs.filter(isRole));
    this.balancer.apply(servers.filter((spec) => !this.refused.has(specKey(spec))));
  }

  status(): ForwardingStatus {
    const specs = this.specs.map((spec): ForwardingSpecStatus => {
      if (spec.kind === 'real-server-role') return { spec, state: this.role.stateOf(spec), notes: [] };
      const reason = this.refused.get(specKey(spec));
      if (reason !== undefined) return { spec, state: { state: 'failed', reason }, notes: [] };
      return { spec, ...this.balancer.stateOf(spec) };
    });
    const { backend, reason } = this.choice;
    return { backend, reason, specs, counters: { ...this.shared.counters } };
  }

  async close(): Promise<void> {
    if (this.isStarted) {
      this.set([]);
      // What could not be done at once, because the kernel had to be read before.
      await this.balancer.check();
      await this.balancer.told();
    }
    this.abandon();
  }

  abandon(): void {
    this.isStarted = false;
    this.timer?.cancel();
    this.balancer.stop();
    this.role.stop();
  }

  private arm(): void {
    this.timer = this.shared.clock.after('check forwarding', checkMs[this.choice.backend], () => {
      Promise.all([this.balancer.check(), this.role.check()])
        .catch((error: unknown) => {
          this.shared.counters.failures++;
          this.shared.log.warn('forwarding could not be checked', { error: messageOf(error) });
        })
        .finally(() => {
          if (this.isStarted) this.arm();
        });
    });
  }
}

function makeBalancer(
  { backend }: Choice,
  components: ForwardingComponents,
  shared: Shared,
  claims: readonly Pick<VirtualServerSpec, 'vip' | 'port'>[],
): Balancer {
  const { ipvs, nftables } = components;
  if (backend === 'ipvs' && ipvs !== undefined)
    return new IpvsBalancer({ ...components, ipvs, shared }, claims);
  if (backend === 'nftables' && nftables !== undefined)
    return new NftablesBalancer({ ...components, nftables, shared });
  throw new KernelError({ op: `use ${backend}`, errno: errnoOf.EOPNOTSUPP });
}

function isVirtualServer(spec: ForwardingSpec): spec is VirtualServerSpec {
  return spec.kind === 'virtual-server';
}

function isRole(spec: ForwardingSpec): spec is RealServerRoleSpec {
  return spec.kind === 'real-server-role';
}
