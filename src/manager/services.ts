import { StandAside, watchLinkGate } from '../control-plane/index.ts';
import { EventRecorder, type ReflectorStatus } from '../kube/index.ts';
import {
  createStatusWrite,
  LocalLinks,
  NodeAddresses,
  QuietStatus,
  ServicesOperator,
  StatusWriter,
  type LeaseKey,
  type ServicesObserver,
  type ServicesOptions,
  type ServicesParts,
} from '../services/index.ts';
import { createUncontestedElection } from '../election/index.ts';
import { hostLength, type Ip } from '../lib/ip.ts';
import { resolveName } from '../linux/index.ts';
import type { Holding } from '../node/types.ts';
import { ipsOf } from './control-plane-vips.ts';
import { electionAt } from './election.ts';
import { areMany } from './engine.ts';
import { mayBeDownMs } from './control-plane.ts';
import { LeaseWatches } from './lease-watches.ts';
import { openStage } from './rehearsal-stage.ts';
import { rehearse } from './rehearsal.ts';
import { routesOf } from './routing-table.ts';
import { ServiceLabels } from './service-labels.ts';
import { servicesNews } from './services-news.ts';
import { servicesOptions } from './services-options.ts';
import { watchServices, type ServicesWatches } from './services-watches.ts';
import { hasServicesElection } from './mode.ts';
import type { Parts } from './parts.ts';

/** How long a stopping process tries to take its labels off the Node, and how long at least when its leases are released. */
const LABELS_BUDGET_MS = 5000;
const LABELS_LEAST_MS = 500;

export interface ServicesFeature {
  readonly operator: ServicesOperator;
  readonly writer: StatusWriter;
  watches(): readonly ReflectorStatus[];
  /** Runs until the signal aborts; afterwards no VIP of a Service is on the node and every lease is released. */
  run(signal: AbortSignal): Promise<void>;
}

/** The services operator with its reflectors, elections, status writer and events. */
export function buildServices(
  parts: Parts,
  onLoss: (lease: string, reason: string) => void,
): ServicesFeature {
  const { api, clock, config, kernel, log, node, random } = parts;
  const tools = { clock, random, log };
  const options = servicesOptions(parts);
  const local = new LocalLinks({ kernel, ...tools });
  const nodeAddresses = new NodeAddresses(parts.identity, (addresses) => {
    operator.nodesChanged(addresses);
  });
  const localView: ServicesParts['local'] = {
    hasLink: (name) => local.hasLink(name),
    ownAddresses: () => local.ownAddresses(),
    ownerOf: (address) => local.ownerOf(address),
    nodeOf: (address) => nodeAddresses.nodeOf(address),
  };
  const writer: StatusWriter = new StatusWriter({
    write: createStatusWrite(api.client),
    read: (key) => watches.services.items.get(key),
    ...tools,
  });
  const isBusy = (): boolean => operator.isBusy() || node.isBusy();
  const reports = new QuietStatus(writer, clock, isBusy);
  parts.urgency.lastsWhile(() => operator.isBusy());
  const leaseWatches = new LeaseWatches(api, tools);
  const labels = config.enableNodeLabeling ? new ServiceLabels(parts) : undefined;
  const operator: ServicesOperator = new ServicesOperator(
    {
      node,
      sweep: (keep) => {
        sweepLeftovers(parts, options.mark, keep, (address) =>
          operator.isStray(address, config.serviceNamespace === ''),
        );
      },
      elect: (lease) => elect(parts, leaseWatches, options.globalLease, lease),
      local: localView,
      status: reports,
      resolve: resolveName,
      view: {
        provenAt: () => watches.services.status().provenAt,
        refresh: () => {
          watches.services.refresh();
        },
      },
      clock,
      log: log.child('services'),
      observer: observerOf(parts, options.globalLease, labels, onLoss),
    },
    options,
  );
  const watches: ServicesWatches = watchServices(parts, operator, nodeAddresses, labels);
  const { services, slices } = watches;
  const rehearsal = {
    ...tools,
    isIdle: () => {
      const isWorthIt = areMany(services.items.size) && operator.waitingFor() === undefined;
      return isWorthIt && operator.advertised().length === 0 && !isBusy();
    },
    openStage: () =>
      openStage({
        ...parts,
        local: localView,
        options,
        routes: routesOf(config),
        services: services.items,
        slices: slices.items,
      }),
  };
  return {
    operator,
    writer,
    watches: () => {
      const reflectors = [watches.services, watches.slices, watches.nodes];
      return [...reflectors.map((each) => each.status()), ...leaseWatches.statuses()];
    },
    run: async (signal) => {
      await local.start((change) => {
        operator.linksChanged(change);
      }, signal);
      const stopListening = listenToNode(parts, operator);
      const gate = watchServicesLink(parts, options, operator);
      // Nodes first, so that no Service gets the address of one for a moment.
      void watches.nodes.run(signal);
      void watches.services.run(signal);
      void watches.slices.run(signal);
      void labels?.clean(signal);
      const rehearsed = rehearse(rehearsal, signal);
      let stoppedAt = clock.now();
      signal.addEventListener('abort', () => (stoppedAt = clock.now()), { once: true });
      try {
        await operator.run(signal);
      } finally {
        gate.close();
        stopListening();
        reports.close();
        writer.close();
        await (await rehearsed)?.close();
        // They went with the VIPs. Where the API server refuses that, the releases have taken of the time.
        const left = LABELS_BUDGET_MS - (clock.now() - stoppedAt);
        await labels?.close(Math.max(left, LABELS_LEAST_MS));
      }
    },
  };
}

/** Metrics, Events, log and the Node's labels. Where no lease decides about a Service there is none to tell of. */
function observerOf(
  { api, clock, config, log, metrics, random }: Parts,
  globalLease: LeaseKey,
  labels: ServiceLabels | undefined,
  onLoss: (lease: string, reason: string) => void,
): ServicesObserver {
  const recorder = new EventRecorder(
    { client: api.client, clock, random, log },
    { component: 'kube-vip', node: config.nodeName },
  );
  const news = servicesNews(metrics, recorder, log, globalLease, onLoss);
  return {
    ...news,
    campaign: (lease, ...what) => {
      if (lease !== globalLease || hasServicesElection(config)) news.campaign?.(lease, ...what);
    },
    provides: (key, vips) => labels?.provides(key, vips),
  };
}

/**
 * Leftovers of a predecessor: VIPs with the mark of Services, or that are claimed and have none, and routes to single
 * addresses, that are not to be kept.
 */
function sweepLeftovers(
  { controlPlaneVips, node }: Parts,
  mark: number,
  keep: (address: Ip) => boolean,
  isStray: (address: Ip) => boolean,
): void {
  const ownVips = ipsOf(controlPlaneVips);
  node.sweep(({ address: { address, protocol }, marked }) => {
    return (protocol === mark || !marked) && !ownVips.has(address) && !keep(address);
  });
  node.sweepRoutes(({ destination, nextHops }) => {
    if (destination === undefined) return false;
    const { address, length } = destination;
    const isDirect = nextHops.every(({ gateway }) => gateway === undefined);
    // The control plane of another process has its VIP on a link here.
    const isPlane = ownVips.has(address) || node.isPresent(address);
    if (length !== hostLength(address) || !isDirect || isPlane) return false;
    return !keep(address) && isStray(address);
  });
}

/** What the node, and the end of the process, tell the operator, until the returned function is called. */
function listenToNode(
  { claimListeners, claims, heldBackListeners }: Parts,
  operator: ServicesOperator,
): () => void {
  const claimed = (vip: Ip, link: string, mac: string): void => {
    operator.claimedElsewhere(vip, link, mac);
  };
  const heldBack = (vip: Ip, by: Holding, problem: string | undefined): void => {
    operator.heldBack(vip, by, problem);
  };
  // Very many VIPs take more than one turn to go, and a second signal ends all waiting.
  const withdrawNow = (): void => {
    operator.withdrawNow();
  };
  const isClaimed = (vip: Ip): boolean => operator.isClaimed(vip);
  claims.add(isClaimed);
  claimListeners.add(claimed);
  heldBackListeners.add(heldBack);
  process.on('exit', withdrawNow);
  return () => {
    process.off('exit', withdrawNow);
    heldBackListeners.delete(heldBack);
    claimListeners.delete(claimed);
    claims.delete(isClaimed);
  };
}

/** Leases that other parts of this process may hold too come from the pool; the others are the Services' own. */
function elect(parts: Parts, watches: LeaseWatches, globalLease: LeaseKey, lease: LeaseKey) {
  const { api, campaign, config, identity } = parts;
  const slash = lease.indexOf('/');
  const place = { namespace: lease.slice(0, slash), name: lease.slice(slash + 1) };
  if (lease === globalLease && !hasServicesElection(config)) return createUncontestedElection(identity);
  const ipamLease = `${config.ipamLeaseNamespace}/${config.ipamLeaseName}`;
  if ([globalLease, campaign.store.name, ipamLease].includes(lease)) return campaign.pool.election(place);
  return electionAt(place, watches.watch(place.namespace, place.name), config, identity, api, parts);
}

/** `vip_loseleadership` for the link of the Services. */
function watchServicesLink(
  { clock, config, kernel, log }: Parts,
  options: ServicesOptions,
  operator: ServicesOperator,
): { close(): void } {
  // Without addresses on links, or where each VIP looks for its link, no link has to be there.
  const needsLink = options.servicesLink !== 'auto' && (options.reach === 'layer2' || options.attach);
  if (!config.loseLeadership && !needsLink) return { close: () => undefined };
  const named = options.servicesLink === 'auto' ? '' : options.servicesLink;
  const name = named === '' ? options.mainLink : named;
  const cutOff = new StandAside(operator, clock);
  const gate = watchLinkGate(
    kernel,
    clock,
    { name, downMs: mayBeDownMs(config) },
    {
      down: (why) => {
        cutOff.from(why);
      },
      up: (link) => {
        cutOff.over();
        log.info('link is up again', { link });
      },
    },
  );
  return {
    close: () => {
      gate.close();
      cutOff.over();
    },
  };
}
