import type { Config } from './settings.ts';

/**
 * No lease is campaigned for with these settings: each node decides for itself, as for all that BGP and routing-table mode
 * do unless an election is asked for.
 */
export function electsNobody(config: Config): boolean {
  const { enableBgp, enableRoutingTable, enableLeaderElection, enableServices, servicesIpam } = config;
  const eachForItself = !config.enableArp && (enableBgp || enableRoutingTable) && !config.enableWireguard;
  const forServices =
    enableServices &&
    (config.enableServicesElection ||
      config.perServiceElectionOnDemand ||
      (enableRoutingTable && enableLeaderElection));
  const forControlPlane = config.enableControlPlane && enableBgp && enableLeaderElection;
  return eachForItself && !forServices && !forControlPlane && !servicesIpam;
}

/** Times that cannot work, which the daemon's rules refuse where somebody is elected. */
export function timesOutOfOrder({ leaseDuration, renewDeadline, retryPeriod }: Config): boolean {
  return leaseDuration <= renewDeadline || renewDeadline <= retryPeriod * 1.2;
}
