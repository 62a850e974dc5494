import { ip } from '../../src/lib/ip.ts';
import type { Machine } from '../../lab/index.ts';
import type { ChangeTimes, VirtualServer } from './protocol.ts';
import { RemoteForwarding } from './remote.ts';

const vips = 8;
const servers = 32;

/** What a change of 8 VIPs × 32 back-ends takes on a machine without traffic: one back-end leaves all VIPs, or comes. */
export async function measureChange(
  machine: Machine,
  method: VirtualServer['method'],
  times: number,
): Promise<ChangeTimes> {
  const network = machine.ipv4.slice(0, machine.ipv4.lastIndexOf('.'));
  const addresses = Array.from({ length: servers }, (_, n) => ip(`${network}.${200 + n}`));
  // Nobody is there; direct return only wants to know where it would be.
  await machine.ip(
    ...addresses.map((address, n) => {
      const mac = `02:6b:76:01:00:${n.toString(16).padStart(2, '0')}`;
      return `neigh replace ${address} lladdr ${mac} dev eth0 nud permanent`;
    }),
  );
  const specs = Array.from({ length: vips }, (_, n): VirtualServer => ({
    kind: 'virtual-server',
    vip: ip(`${network}.${240 + n}`),
    port: 6443,
    protocol: 'tcp',
    scheduler: 'rr',
    method,
    link: 'eth0',
    realServers: addresses.map((address) => ({
      address,
      port: 6443,
      weight: 1,
      state: 'active',
      isProven: true,
    })),
  }));
  const forwarding = await RemoteForwarding.start(machine);
  try {
    return await forwarding.change(specs, times);
  } finally {
    await forwarding.stop();
  }
}
