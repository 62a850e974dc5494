import { servicePrefixes, type Config } from '../config/index.ts';
import type { LeaseKey, ServicesOptions } from '../services/index.ts';
import { ipsOf } from './control-plane-vips.ts';
import { placeOfLease } from './election.ts';
import { servicesMark } from './instance.ts';
import { hasControlPlaneElection, hasServicesElection } from './mode.ts';
import type { Parts } from './parts.ts';

/** A VIP left by a predecessor goes after this long when nothing can be learned about its lease. */
const LEFTOVER_GRACE_MS = 3000;

/** What the settings, and the node, say about Services. */
export function servicesOptions(parts: Parts): ServicesOptions {
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
): ServicesOptions['reserved'] {
  if (hasControlPlaneElection(config) && globalLease === campaign.store.name) return new Map();
  return { get: (vip) => (ipsOf(controlPlaneVips).has(vip) ? 'the control-plane VIP' : undefined) };
}
