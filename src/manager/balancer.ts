import type { Config, Sources } from '../config/index.ts';
import { Balancer, OwnServer, type BalancerOptions } from '../control-plane/index.ts';
import { createBackendProber, withPresence, type NodeObject } from '../kube/index.ts';
import type { Forwarding, ForwardingSpec, ForwardingStatus } from '../node/index.ts';
import { farewell, parseListenAddress, type BalancerStatus } from '../observe/index.ts';
import { familyOf, ip, type Ip } from '../lib/ip.ts';
import { addressesOf, followNodes, otherAddresses } from './balancer-nodes.ts';
import { openForwarding, removeLeftovers } from './forwarding.ts';
import type { Parts } from './parts.ts';

/** Backends whose probes failed within this time of each other are one outage. */
const TOGETHER_MS = 10_000;

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
  return startBalancer(parts, sources, await openForwarding(parts), signal);
}

/**
 * The kernel balancer of the control plane: watches Nodes, probes API servers, keeps the kernel in step.
 * With `directroute` a node that does not hold is made a real server that answers clients directly.
 */
function startBalancer(
  parts: Parts,
  sources: Sources,
  forwarding: Forwarding,
  signal: AbortSignal,
): RunningBalancer {
  const { config, clock, random, log, api } = parts;
  const vips = (): readonly Ip[] => parts.controlPlaneVips.now().map(({ vip }) => vip);
  const options = optionsFrom(parts, sources, vips());
  const isDirect = config.loadBalancerForwardingMethod === 'directroute';
  const apiServers = createBackendProber(api.credentials, {
    port: config.port,
    path: config.lbProbePath,
    onLost: (host) => {
      balancer.lost(ip(host));
      ownServer.lost(ip(host));
    },
  });
  const presence = isDirect ? presenceOf(config) : undefined;
  const changed = (host: string): void => {
    balancer.lost(ip(host));
  };
  const prober =
    presence === undefined
      ? apiServers
      : withPresence(apiServers, { ...presence, farewell, onChange: changed });
  let isActive = false;
  const ownServer = new OwnServer(
    { prober: apiServers, clock, random },
    {
      ...options,
      changed: () => {
        const vip = isDirect ? vips().filter(isListening) : [];
        log.info('the API server of this node began or ceased to listen', { vip: vip.join(', ') });
        if (isSettled && !isActive) forwarding.set(role());
      },
    },
  );
  const isListening = (vip: Ip): boolean => !ownServer.refuses(familyOf(vip));
  const role = (): ForwardingSpec[] =>
    (isDirect ? vips() : []).map((vip) => ({
      kind: 'real-server-role',
      vip,
      isListening: isListening(vip),
    }));
  const balancer: Balancer = new Balancer(
    {
      apply: (servers) => {
        forwarding.set(servers.size === 0 ? role() : virtualServers(parts, servers));
      },
      failed: (node) => {
        // `local` hands every connection to this node's own API server: without it the VIP is of no use here.
        if (config.loadBalancerForwardingMethod !== 'local' || node !== parts.identity) return;
        parts.campaign.election.resign('the local API server is dead', 2 * options.probeIntervalMs + 5000);
      },
      prober,
      clock,
      random,
      log,
    },
    options,
  );
  let isSettled = false;
  let nodes: readonly NodeObject[] = [];
  const nodesOrVipsChanged = (): void => {
    if (isDirect) ownServer.setAddresses(addressesOf(nodes, parts.identity, vips()));
    api.others?.(otherAddresses(nodes, parts.identity, vips()));
  };
  followNodes(parts, signal, (all) => {
    nodes = all;
    balancer.nodesChanged(all);
    nodesOrVipsChanged();
  });
  const leave = parts.controlPlaneVips.follow(() => {
    balancer.setVips(vips());
    if (isSettled && !isActive) forwarding.set(role());
    nodesOrVipsChanged();
  });
  parts.reports.balancer = () => report(config.loadBalancerPort, forwarding.status(), balancer);
  return {
    settle: () => {
      if (isSettled) return;
      isSettled = true;
      ownServer.follow(true);
      forwarding.set(role());
    },
    activate: () => {
      isSettled = true;
      isActive = true;
      ownServer.follow(false);
      balancer.activate();
    },
    deactivate: () => {
      isActive = false;
      ownServer.follow(true);
      balancer.deactivate();
    },
    close: async () => {
      leave();
      ownServer.follow(false);
      prober.close();
      await forwarding.close();
    },
  };
}

/** Where this program listens on every node, if the settings are the same everywhere: one without it is no real server. */
function presenceOf(config: Config): { readonly port: number; covers(host: string): boolean } | undefined {
  const listen = parseListenAddress(config.prometheusHttpServer);
  const port = listen?.port ?? config.healthCheckPort;
  if (port === 0) return undefined;
  const on = listen?.host;
  if (on === undefined || on === '::') return { port, covers: () => true };
  return on === '0.0.0.0' ? { port, covers: (host) => familyOf(ip(host)) === 4 } : undefined;
}

function report(
  port: number,
  { backend, reason, specs }: ForwardingStatus,
  balancer: Pick<Balancer, 'status' | 'unserved'>,
): BalancerStatus {
  const virtualServers = specs.flatMap(({ spec, state, notes }) => {
    if (spec.kind !== 'virtual-server') return [];
    const why = state.state === 'ready' ? {} : { reason: state.reason };
    return [{ vip: spec.vip, port: spec.port, state: state.state, ...why, notes }];
  });
  const idle = balancer.unserved().map((each) => ({ ...each, port, state: 'waiting', notes: [] }));
  return { backend, reason, virtualServers: [...virtualServers, ...idle], backends: balancer.status() };
}

type PerVip = Parameters<ConstructorParameters<typeof Balancer>[0]['apply']>[0];

/**
 * Those that have a server for new connections: without one they go to the API server of this node, as they would
 * without a balancer.
 */
export function balanced(servers: PerVip): PerVip {
  return new Map([...servers].filter(([, all]) => all.some(({ state }) => state === 'active')));
}

function virtualServers({ config, link }: Parts, servers: PerVip): ForwardingSpec[] {
  return [...balanced(servers)].map(([vip, realServers]) => ({
    kind: 'virtual-server',
    vip,
    port: config.loadBalancerPort,
    protocol: 'tcp',
    scheduler: config.lbScheduler,
    method: config.loadBalancerForwardingMethod,
    link: link.name,
    realServers: realServers.map((server) => ({ ...server, port: config.port })),
  }));
}

function optionsFrom({ config }: Parts, sources: Sources, vips: readonly Ip[]): BalancerOptions {
  return {
    vips,
    rise: config.lbProbeRise,
    fall: config.lbProbeFall,
    drainMs: config.lbDrainSeconds * 1000,
    slowStartMs: config.lbSlowStartSeconds * 1000,
    togetherMs: TOGETHER_MS,
    probeIntervalMs: probeIntervalMs(config, sources),
    probeTimeoutMs: config.lbProbeTimeoutMs,
  };
}

/** kube-vip's own setting, in seconds, counts where somebody gave it and said nothing about ours. */
export function probeIntervalMs(config: Config, sources: Sources): number {
  const given = (name: 'backendHealthCheckInterval' | 'lbProbeIntervalMs'): boolean =>
    sources[name].kind !== 'default';
  if (given('lbProbeIntervalMs') || !given('backendHealthCheckInterval')) return config.lbProbeIntervalMs;
  return config.backendHealthCheckInterval * 1000;
}
