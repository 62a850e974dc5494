import { familyOf } from '../../lib/ip.ts';
import type { BalancerBackend, ForwardingMethod, VirtualServerSpec } from './types.ts';

/** Methods that hand the packet on as it is, port included. */
const portKeeping: readonly ForwardingMethod[] = ['local', 'tunnel', 'directroute', 'bypass'];

/** Why this virtual server cannot be what it says, on any machine with this back-end; undefined when it can. Pure. */
export function refusal(spec: VirtualServerSpec, backend: BalancerBackend): string | undefined {
  const { vip, port, method, realServers } = spec;
  const other = realServers.find(({ address }) => familyOf(address) !== familyOf(vip));
  if (other !== undefined) {
    return `${other.address} is not of the address family of VIP ${vip}: only IPv${familyOf(vip)} servers can serve it`;
  }
  if (backend === 'nftables' && (method === 'tunnel' || method === 'bypass')) {
    return `the forwarding method ${method} needs IPVS; nftables has masquerade, directroute and local`;
  }
  const translated = realServers.find((server) => server.port !== port);
  if (portKeeping.includes(method) && translated !== undefined) {
    return (
      `the forwarding method ${method} cannot translate ports: VIP port ${port} must be the servers' ` +
      `port ${translated.port}, or the method masquerade`
    );
  }
  return undefined;
}
