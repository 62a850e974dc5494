import { ip } from '../../../src/lib/ip.ts';
import type { Mac } from '../../../src/lib/ip.ts';
import type { RealServer, VirtualServerSpec } from '../../../src/node/forwarding/types.ts';
import type { DirectPath, Service } from '../../../src/node/forwarding/nftables/service.ts';
import { translated } from '../../../src/node/forwarding/nftables/service.ts';
import { markOf } from '../../../src/node/forwarding/nftables/marks.ts';

export function server(address: string, change: Partial<RealServer> = {}): RealServer {
  return { address: ip(address), port: 6443, weight: 1, state: 'active', ...change };
}

export function spec(vip: string, change: Partial<VirtualServerSpec> = {}): VirtualServerSpec {
  const base = vip.includes(':') ? 'fd00::' : '10.0.0.';
  return {
    kind: 'virtual-server',
    vip: ip(vip),
    port: 6443,
    protocol: 'tcp',
    scheduler: 'rr',
    method: 'masquerade',
    link: 'eth0',
    realServers: [server(`${base}1`), server(`${base}2`), server(`${base}3`)],
    ...change,
  };
}

/** A service with a direct path to all its servers, each with the MAC address 02:..:NN. */
export function directService(of: VirtualServerSpec): Service {
  const direct: DirectPath = {
    link: of.link,
    ifindex: 2,
    mac: '02:00:00:00:00:ff' as Mac,
    servers: of.realServers
      .filter(({ state }) => state !== 'dead')
      .map((each, i) => ({
        server: each,
        mark: markOf(each.address),
        via: `02:00:00:00:00:0${i + 1}` as Mac,
      })),
  };
  return { ...translated(of), direct };
}
