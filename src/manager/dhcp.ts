import { controlPlaneNames } from '../config/index.ts';
import { DhcpClient } from '../control-plane/index.ts';
import type { Parts } from './parts.ts';

/** A node that could not get an address leaves the lease to the others for so long. */
const STAND_BACK_MS = 10_000;

export interface RunningDhcp {
  /** This node holds: ask for the addresses of the names. */
  start(): void;
  /** It no longer does. `release`: it gives them back, before anybody else can ask for them. */
  stop(release: boolean): void;
}

/** DHCP for the names of the control plane where `vip_ddns` is on: one client for each host part. */
export function openDhcp(parts: Parts): RunningDhcp {
  const { campaign, clock, config, controlPlaneVips, kernel, link, log, metrics, random } = parts;
  const names = config.ddns ? controlPlaneNames(config) : [];
  const hostNames = new Set(names.map((name) => name.replace(/\..*/, '')));
  const clients = [...hostNames].map(
    (hostName) =>
      new DhcpClient(
        {
          link: () => kernel.linkByName(link.name),
          openPacketSocket: (options) => kernel.openPacketSocket(options),
          clock,
          random,
          log: log.child('dhcp'),
          leased: (address) => {
            controlPlaneVips.setLeased(hostName, address);
          },
          gaveUp: (why) => {
            log.error('no VIP from DHCP: this node gives the lease up', { name: hostName, reason: why });
            campaign.election.resign(why, STAND_BACK_MS);
          },
          undecodable: () => {
            metrics.decodeErrors.increment({ protocol: 'dhcp' });
          },
        },
        { hostName, attempts: config.dhcpBackoffAttempts },
      ),
  );
  return {
    start: () => {
      for (const client of clients) client.start();
    },
    stop: (release) => {
      for (const client of clients) client.stop(release);
    },
  };
}
