import type { Config } from '../config/index.ts';
import { checkTargets, RoutingTable, selfTargets, type SelfCheck } from '../control-plane/index.ts';
import {
  createBackendProber,
  createHealthProbe,
  createReflector,
  nameSelector,
  nodes,
  parseServer,
  type NodeObject,
} from '../kube/index.ts';
import { removeStrayRoutes, type NodeOptions } from '../node/index.ts';
import { projectNodeAddresses } from '../services/index.ts';
import { openBalancer } from './balancer.ts';
import { ipsOf } from './control-plane-vips.ts';
import { ownLeftovers } from './own-leftovers.ts';
import type { Parts } from './parts.ts';

/** kube-vip's own limit for an answer of the API server. */
const CHECK_TIMEOUT_MS = 10_000;
/** What `backend_health_check_interval` of 0 or less stands for, seconds. */
const USUAL_INTERVAL_S = 5;
const RTN_UNICAST = 1;
const RT_TABLE_MAIN = 254;
const VERSION_PATH = '/version';
/** `vip_cleanroutingtable` begins this long after start. */
const CLEAN_AFTER_MS = 10_000;

export interface RoutingTableWiring extends Parts {
  /** It is known whether this node serves. */
  readonly onChecked: () => void;
}

/**
 * Runs the control plane in routing-table mode until the signal aborts; afterwards its VIPs and the
 * routes to them are gone.
 *
 * @throws HealthCaError when the CA file of the health check cannot be used.
 */
export async function runRoutingTable(wiring: RoutingTableWiring, signal: AbortSignal): Promise<void> {
  const { clock, config, link, log, node } = wiring;
  const vips = wiring.controlPlaneVips;
  const balancer = await openBalancer(wiring, wiring.sources, signal);
  const self = openSelfCheck(wiring, signal, () => {
    table.recheck();
  });
  const table: RoutingTable = new RoutingTable(
    {
      node,
      // Only our own VIPs: another instance on this node marks its addresses and routes the same way.
      sweep: () => {
        const own = ipsOf(vips);
        node.sweepRoutes(({ destination }) => destination !== undefined && own.has(destination.address));
        node.sweep(ownLeftovers(own, link.name));
        balancer?.settle();
      },
      check: self.check,
      clock,
      log,
      observer: {
        checked: wiring.onChecked,
        serving: (now) => {
          if (now.length > 0) balancer?.activate();
          else balancer?.deactivate();
        },
      },
    },
    {
      vips: vips.now(),
      link: link.name,
      scope: link.name === 'lo' && !config.loInterfaceGlobalScope ? 'host' : 'global',
      noDad: config.skipDad,
      periodMs: checkPeriodMs(config),
      timeoutMs: self.timeoutMs,
    },
  );
  const leave = vips.follow(() => {
    table.setVips(vips.now());
  });
  try {
    await table.run(signal);
  } finally {
    leave();
    self.close();
    await balancer?.close();
  }
}

/**
 * `vip_cleanroutingtable`: some time after start, and not before every source of routes has had its
 * say, routes with our mark that nobody wants go.
 */
export function cleanRoutingTable(
  { clock, config, log, node }: Parts,
  isSettled: () => boolean,
  signal: AbortSignal,
): void {
  if (!config.enableRoutingTable || !config.cleanRoutingTable) return;
  const clean = async (): Promise<void> => {
    await clock.sleep('clean-routing-table', CLEAN_AFTER_MS, signal);
    while (!signal.aborted && !isSettled()) await clock.sleep('clean-routing-table', 1000, signal);
    if (signal.aborted) return;
    const removed = node.sweepRoutes(() => true).length;
    log.info('routing table cleaned', { table: config.routingTableId, removed });
  };
  void clean();
}

/** Where the node's routes go; none in other modes. */
export function routesOf(config: Config): Pick<NodeOptions, 'routes'> {
  if (!config.enableRoutingTable) return {};
  const { routingTableId: table, routingProtocol: protocol, routingTableType } = config;
  // Linux takes table 0 for the main one. 0 is no type that a route can have: kube-vip means unicast.
  return { routes: { table: table || RT_TABLE_MAIN, protocol, type: routingTableType || RTN_UNICAST } };
}

/** Routes to our VIPs of a predecessor that wrote them elsewhere, or where this process writes none. */
export function removeOldRoutes({
  config,
  kernel,
  log,
  controlPlaneVips,
}: Pick<Parts, 'config' | 'kernel' | 'log'> & {
  readonly controlPlaneVips: Pick<Parts['controlPlaneVips'], 'now'>;
}): Promise<void> {
  const vips = ipsOf(controlPlaneVips);
  const table = routesOf(config).routes?.table;
  return removeStrayRoutes({ kernel, log }, { vips, protocol: config.routingProtocol, table });
}

function checkPeriodMs({ backendHealthCheckInterval: seconds }: Config): number {
  return (seconds > 0 ? seconds : USUAL_INTERVAL_S) * 1000;
}

interface OpenSelfCheck {
  readonly check: SelfCheck;
  readonly timeoutMs: number;
  close(): void;
}

/** A URL that is configured for it, the server of `kubernetes_addr`, or this node's own API server. */
function openSelfCheck(wiring: RoutingTableWiring, signal: AbortSignal, changed: () => void): OpenSelfCheck {
  const { config } = wiring;
  if (config.controlPlaneHealthCheckAddress !== '') {
    const { controlPlaneHealthCheckAddress: url, controlPlaneHealthCheckCaPath: caPath } = config;
    const probe = createHealthProbe(url, caPath);
    const seconds = config.controlPlaneHealthCheckTimeoutSeconds;
    const timeoutMs = seconds > 0 ? seconds * 1000 : Infinity;
    return { check: (_family, own) => probe(own), timeoutMs, close: () => undefined };
  }
  const server = config.kubernetesAddr.includes('://') ? parseServer(config.kubernetesAddr) : undefined;
  if (server === undefined) return checkOwnNode(wiring, signal, changed);
  const { host, port, scheme, basePath } = server;
  const options = { port, path: `${basePath}${VERSION_PATH}`, scheme };
  const prober = createBackendProber(wiring.api.credentials, options);
  return {
    check: (_family, own) => ask(prober, host, own),
    timeoutMs: CHECK_TIMEOUT_MS,
    close: () => {
      prober.close();
    },
  };
}

/** Follows the own Node for its addresses: it may not be known yet, and it may change. */
function checkOwnNode(
  { api, clock, config, identity, log, random }: Parts,
  signal: AbortSignal,
  changed: () => void,
): OpenSelfCheck {
  const prober = createBackendProber(api.credentials, { port: config.port, path: VERSION_PATH });
  let known = '';
  const tell = (): void => {
    const now = JSON.stringify([...reflector.items.values()].map(({ status }) => status));
    if (now === known) return;
    known = now;
    changed();
  };
  const reflector = createReflector<NodeObject>(
    { client: api.client, clock, random, log },
    {
      resource: nodes,
      fieldSelector: nameSelector(identity),
      map: projectNodeAddresses,
      listener: { synced: tell, changed: tell, removed: tell },
    },
  );
  void reflector.run(signal);
  return {
    check: (family, own) => {
      const [node] = reflector.items.values();
      return checkTargets(selfTargets(node, family), family, (target) => ask(prober, target, own));
    },
    timeoutMs: CHECK_TIMEOUT_MS,
    close: () => {
      prober.close();
    },
  };
}

/** A kept connection may have been closed in this very moment, which says nothing about the server. */
async function ask(
  prober: ReturnType<typeof createBackendProber>,
  host: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return await prober.probe(host, signal);
  } catch {
    return prober.probe(host, signal);
  }
}
