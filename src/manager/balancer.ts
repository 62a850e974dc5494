import type { Config, Sources } from '../config/index.ts';
import { Balancer, OwnServer } from '../control-plane/index.ts';
import { createBackendProber, withPresence, type NodeObject } from '../kube/index.ts';
import type { Forwarding } from '../node/index.ts';
import { farewell } from '../observe/index.ts';
import { familyOf, ip, type Ip } from '../lib/ip.ts';
import { addressesOf, followNodes, otherAddresses } from './balancer-nodes.ts';
import { optionsFrom, presenceOf } from './balancer-settings.ts';
import { realServerRoles, report, virtualServers, type PerVip } from './balancer-specs.ts';
import { openForwarding, removeLeftovers } from './forwarding.ts';
import type { Parts } from './parts.ts';

export interface RunningBalancer {
  /** It is known who holds. Until then the rules of a predecessor go on serving its connections. */
  settle(): void;
  /** This node carries the VIPs from now on. */
  activate(): void;
  /** It no longer does; the kernel balances nothing when this returns. */
  deactivate(): void;
  close(): Promise<void>;
}

/**
 * The balancer where it is on. Where it is off, nothing that a predecessor put into the kernel for it is
 * left when this resolves.
 *
 * @throws StartError as `openForwarding` does.
 */
export async function openBalancer(
  parts: Parts,
  sources: Sources,
  signal: AbortSignal,
): Promise<RunningBalancer | undefined> {
  if (!parts.config.enableLoadBalancer) {
    await removeLeftovers(parts);
    return undefined;
  }
  return new KernelBalancer(parts, sources, await openForwarding(parts), signal);
}

/**
 * The kernel balancer of the control plane: watches Nodes, probes API servers, keeps the kernel in step.
 * With `directroute` a node that does not hold is made a real server that answers clients directly.
 */
class KernelBalancer implements RunningBalancer {
  private readonly parts: Parts;
  private readonly forwarding: Forwarding;
  private readonly method: Config['loadBalancerForwardingMethod'];
  private readonly prober: ReturnType<typeof createProbers>['prober'];
  private readonly balancer: Balancer;
  private readonly ownServer: OwnServer;
  private readonly leaveVips: () => void;
  private place: 'not known yet' | 'standing by' | 'holding' = 'not known yet';
  private nodes: readonly NodeObject[] = [];

  constructor(parts: Parts, sources: Sources, forwarding: Forwarding, signal: AbortSignal) {
    const { config, clock, random, log } = parts;
    this.parts = parts;
    this.forwarding = forwarding;
    this.method = config.loadBalancerForwardingMethod;
    const options = optionsFrom(parts, sources, this.vips());
    const { prober, apiServers } = createProbers(parts, {
      server: (address) => {
        this.balancer.lost(address);
        this.ownServer.lost(address);
      },
      neighbour: (address) => {
        this.balancer.lost(address);
      },
    });
    this.prober = prober;
    this.ownServer = new OwnServer(
      { prober: apiServers, clock, random },
      { ...options, changed: this.ownServerChanged.bind(this) },
    );
    const apply = this.apply.bind(this);
    const failed = (node: string): void => {
      this.failed(node, 2 * options.probeIntervalMs + 5000);
    };
    this.balancer = new Balancer({ apply, failed, prober, clock, random, log }, options);
    followNodes(parts, signal, this.nodesChanged.bind(this));
    this.leaveVips = parts.controlPlaneVips.follow(this.vipsChanged.bind(this));
    parts.reports.balancer = () => report(config.loadBalancerPort, forwarding.status(), this.balancer);
  }

  settle(): void {
    if (this.place !== 'not known yet') return;
    this.place = 'standing by';
    this.ownServer.follow(true);
    this.standBy();
  }

  activate(): void {
    this.place = 'holding';
    this.ownServer.follow(false);
    this.balancer.activate();
  }

  deactivate(): void {
    this.place = 'standing by';
    this.ownServer.follow(true);
    this.balancer.deactivate();
  }

  async close(): Promise<void> {
    this.leaveVips();
    this.ownServer.follow(false);
    this.prober.close();
    await this.forwarding.close();
  }

  private vips(): readonly Ip[] {
    return this.parts.controlPlaneVips.now().map(({ vip }) => vip);
  }

  private get isDirect(): boolean {
    return this.method === 'directroute';
  }

  private apply(servers: PerVip): void {
    if (servers.size === 0) this.standBy();
    else this.forwarding.set(virtualServers(this.parts, servers));
  }

  private standBy(): void {
    this.forwarding.set(this.isDirect ? realServerRoles(this.vips(), (vip) => this.isListening(vip)) : []);
  }

  private isListening(vip: Ip): boolean {
    return !this.ownServer.refuses(familyOf(vip));
  }

  private ownServerChanged(): void {
    const vip = this.isDirect ? this.vips().filter((each) => this.isListening(each)) : [];
    this.parts.log.info('the API server of this node began or ceased to listen', { vip: vip.join(', ') });
    if (this.place === 'standing by') this.standBy();
  }

  /** `local` hands every connection to this node's own API server: without it the VIP is of no use here. */
  private failed(node: string, pauseMs: number): void {
    const { identity, campaign } = this.parts;
    if (this.method !== 'local' || node !== identity) return;
    campaign.election.resign('the local API server is dead', pauseMs);
  }

  private nodesChanged(nodes: readonly NodeObject[]): void {
    this.nodes = nodes;
    this.balancer.nodesChanged(nodes);
    this.findServers();
  }

  private vipsChanged(): void {
    this.balancer.setVips(this.vips());
    if (this.place === 'standing by') this.standBy();
    this.findServers();
  }

  /** The API server of this node, and those that may stand in for it. */
  private findServers(): void {
    const { api, identity } = this.parts;
    if (this.isDirect) this.ownServer.setAddresses(addressesOf(this.nodes, identity, this.vips()));
    api.others?.(otherAddresses(this.nodes, identity, this.vips()));
  }
}

/** Who ended the connection of its probe: an API server, or the kube-vip beside one. */
interface Lost {
  readonly server: (address: Ip) => void;
  readonly neighbour: (address: Ip) => void;
}

/** `prober` asks what balancing depends on: with direct return the kube-vip beside each API server, too. */
function createProbers({ config, api }: Parts, lost: Lost) {
  const apiServers = createBackendProber(api.credentials, {
    port: config.port,
    path: config.lbProbePath,
    onLost: (host) => {
      lost.server(ip(host));
    },
  });
  const presence = config.loadBalancerForwardingMethod === 'directroute' ? presenceOf(config) : undefined;
  if (presence === undefined) return { apiServers, prober: apiServers };
  const onChange = (host: string): void => {
    lost.neighbour(ip(host));
  };
  return { apiServers, prober: withPresence(apiServers, { ...presence, farewell, onChange }) };
}
