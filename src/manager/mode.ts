import type { Config } from '../config/index.ts';

/** How VIPs are made reachable, as logs and the status document say it. */
export function modeName(config: Config): string {
  if (config.enableBgp) return 'BGP';
  if (config.enableRoutingTable) return 'Routing Table';
  return 'ARP';
}

/** Of the Services without a lease of their own, only the holder of the common lease has the VIPs. */
export function hasServicesElection(config: Config): boolean {
  // With BGP every node with endpoints is one more path, whatever the control plane does.
  if (config.enableBgp) return false;
  return !config.enableRoutingTable || config.enableLeaderElection;
}

/** Only the holder of a lease has the control-plane VIPs; else each node decides for itself. */
export function hasControlPlaneElection(config: Config): boolean {
  const { enableBgp, enableLeaderElection, enableRoutingTable } = config;
  return config.enableControlPlane && !enableRoutingTable && (!enableBgp || enableLeaderElection);
}
