import { servicePrefixes, type Config } from '../config/index.ts';
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
} from '../services/index.ts';
import { createUncontestedElection } from '../election/index.ts';
import { hostLength, type Ip } from '../lib/ip.ts';
import { resolveName } from '../linux/index.ts';
import { servicesMark } from './instance.ts';
import { electionAt, placeOfLease } from './election.ts';
import { LeaseWatches } from './lease-watches.ts';
import { ServiceLabels } from './service-labels.ts';
import { servicesNews } from './services-news.ts';
import { watchServices, type ServicesWatches } from './services-watches.ts';
import { hasControlPlaneElection, hasServicesElection } from './mode.ts';
import type { Parts } from './parts.ts';

/** A VIP left by a predecessor goes after this long when nothing can be learned about its lease. */
const LEFTOVER_GRACE_MS = 3000;
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
  const options = optionsFrom(parts);
  const local = new LocalLinks({ kernel, ...tools });
  const nodeAddresses = new NodeAddresses(parts.identity, (addresses) => {
    operator.nodesChanged(addresses);
  });
  const writer: StatusWriter = new StatusWriter({
    write: createStatusWrite(api.client),
    read: (key) => watches.services.items.get(key),
    ...tools,
  });
  const reports = new QuietStatus(writer, clock, () => operator.isBusy() || node.isBusy());
  const leaseWatches = new LeaseWatches(api, tools);
  const recorder = new EventRecorder(
    { client: api.client, ...tools },
    { component: 'kube-vip', node: config.nodeName },
  );
  const labels = config.enableNodeLabeling ? new ServiceLabels(parts) : undefined;
  const news = servicesNews(parts.metrics, recorder, log, options.globalLease, onLoss);
  const hasLease = (lease: LeaseKey): boolean => lease !== options.globalLease || hasServicesElection(config);
  const observer: ServicesObserver = {
    ...news,
    campaign: (lease, ...what) => {
      if (hasLease(lease)) news.campaign?.(lease, ...what);
    },
    provides: (key, vips) => labels?.provides(key, vips),
  };
  const ownVips = new Set<string>(parts.controlPlaneVips.map(({ vip }) => vip));
  const operator: ServicesOperator = new ServicesOperator(
    {
      node,
      sweep: (keep) => {
        node.sweep(({ address }) => {
          const isOurs = address.protocol === options.mark && !ownVips.has(address.address);
          return isOurs && !keep(address.address);
        });
        node.sweepRoutes(({ destination, nextHops }) => {
          if (destination === undefined) return false;
          const { address, length } = destination;
          const isDirect = nextHops.every(({ gateway }) => gateway === undefined);
          // The control plane of another process has its VIP on a link here.
          const isPlane = ownVips.has(address) || node.isPresent(address);
          if (length !== hostLength(address) || !isDirect || isPlane) return false;
          return !keep(address) && operator.isStray(address, config.serviceNamespace === '');
        });
      },
      elect: (lease) => elect(parts, leaseWatches, options.globalLease, lease),
      local: {
        hasLink: (name) => local.hasLink(name),
        ownAddresses: () => local.ownAddresses(),
        ownerOf: (address) => local.ownerOf(address),
        nodeOf: (address) => nodeAddresses.nodeOf(address),
      },
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
      observer,
    },
    options,
  );
  const watches: ServicesWatches = watchServices(parts, operator, nodeAddresses, labels);
  return {
    operator,
    writer,
    watches: () => {
      const reflectors = [watches.services, watches.slices, watches.nodes];
      return [...reflectors.map((each) => each.status()), ...leaseWatches.statuses()];
    },
    run: async (signal) => {
      await local.start(() => {
        operator.linksChanged();
      }, signal);
      const claimed = (vip: Ip, link: string, mac: string): void => {
        operator.claimedElsewhere(vip, link, mac);
      };
      const heldBack = (vip: Ip, problem: string | undefined): void => {
        operator.heldBack(vip, problem);
      };
      parts.claimListeners.add(claimed);
      parts.heldBackListeners.add(heldBack);
      const gate = watchServicesLink(parts, options, operator);
      // Nodes first, so that no Service gets the address of one for a moment.
      void watches.nodes.run(signal);
      void watches.services.run(signal);
      void watches.slices.run(signal);
      void labels?.clean(signal);
      // Very many VIPs take more than one turn to go, and a second signal ends all waiting.
      const withdrawNow = (): void => {
        operator.withdrawNow();
      };
      process.on('exit', withdrawNow);
      let stoppedAt = clock.now();
      signal.addEventListener('abort', () => (stoppedAt = clock.now()), { once: true });
      try {
        await operator.run(signal);
      } finally {
        process.off('exit', withdrawNow);
        gate.close();
        parts.claimListeners.delete(claimed);
        parts.heldBackListeners.delete(heldBack);
        reports.close();
        writer.close();
        // They went with the VIPs. Where the API server refuses that, the releases have taken of the time.
        const left = LABELS_BUDGET_MS - (clock.now() - stoppedAt);
        await labels?.close(Math.max(left, LABELS_LEAST_MS));
      }
    },
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

function optionsFrom(parts: Parts): ServicesOptions {
  const { api, config, identity, link, log } = parts;
  const { prefix4, prefix6 } = servicePrefixes(config.vipSubnet);
  const place = placeOfLease(config.servicesLeaseName, config, api, log);
  const globalLease = `${place.namespace}/${place.name}`;
  return {
    node: identity,
    legacyClass: config.loadBalancerClassLegacyHandling,
    classOnly: config.loadBalancerClassOnly,
    className: config.loadBalancerClassName,
    dnsMode: config.dnsMode,
    perServiceElection: config.enableServicesElection,
    electionOnDemand: config.perServiceElectionOnDemand,
    globalLease,
    mainLink: link.name,
    servicesLink: config.servicesInterface,
    prefix4,
    prefix6,
    globalScopeOnLo: config.loInterfaceGlobalScope,
    noDad: config.skipDad,
    mark: servicesMark(config),
    reserved: reservedVips(parts, globalLease),
    announcePeriodMs: config.arpBroadcastRate,
    reach: reachOf(config),
    attach: config.bgpAttachIpToInterface,
    guarded: config.enableServiceSecurity,
    leaseDurationMs: config.leaseDuration * 1000,
    renewDeadlineMs: config.renewDeadline * 1000,
    preserve: config.preserveVipOnLeadershipLoss && config.enableArp,
    debounceMs: config.debounceTime,
    leftoverGraceMs: LEFTOVER_GRACE_MS,
    writeStatus: !config.disableServiceUpdates,
    everyNode: !hasServicesElection(config),
  };
}

function reachOf({ enableBgp, enableRoutingTable }: Config): ServicesOptions['reach'] {
  if (enableBgp) return 'bgp';
  return enableRoutingTable ? 'route' : 'layer2';
}

/** The control-plane VIPs are where their own lease is held, unless it is the Services' lease as well. */
function reservedVips(
  { campaign, config, controlPlaneVips }: Parts,
  globalLease: LeaseKey,
): ReadonlyMap<Ip, string> {
  if (hasControlPlaneElection(config) && globalLease === campaign.store.name) return new Map();
  return new Map(controlPlaneVips.map(({ vip }) => [vip, 'the control-plane VIP']));
}

/** `vip_loseleadership` for the link of the Services. */
function watchServicesLink(
  { clock, config, kernel, log }: Parts,
  options: ServicesOptions,
  operator: ServicesOperator,
): { close(): void } {
  if (!config.loseLeadership) return { close: () => undefined };
  const named = options.servicesLink === 'auto' ? '' : options.servicesLink;
  const name = named === '' ? options.mainLink : named;
  const timeoutMs = config.loseLeadershipTimeoutSeconds * 1000;
  const cutOff = new StandAside(operator, clock);
  const gate = watchLinkGate(kernel, clock, name, timeoutMs, {
    down: (link) => {
      cutOff.from(`link ${link} down for ${timeoutMs} ms`);
    },
    up: (link) => {
      cutOff.over();
      log.info('link is up again', { link });
    },
  });
  return {
    close: () => {
      gate.close();
      cutOff.over();
    },
  };
}
