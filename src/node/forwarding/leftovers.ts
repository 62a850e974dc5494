import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { newCounters } from './counters.ts';
import { removeServices } from './ipvs/desired.ts';
import { planTables } from './nftables/plan.ts';
import { TABLE } from './nftables/translation.ts';
import type { ForwardingKernel } from './ports.ts';
import { RealServerRole } from './real-server-role.ts';
import type { VirtualServerSpec } from './types.ts';

/**
 * Takes out of the kernel all that a predecessor put there to balance, where this program is not going
 * to: rules, IPVS services for `claims`, VIPs on `lo` and the settings that go with them. Rejects with KernelError.
 */
export async function removeForwarding(
  ports: Pick<ForwardingKernel, 'kernel' | 'nftables' | 'ipvs'> & {
    readonly clock: Clock;
    readonly log: Logger;
  },
  claims: readonly Pick<VirtualServerSpec, 'vip' | 'port'>[],
): Promise<void> {
  const { nftables, ipvs, clock } = ports;
  const log = ports.log.child('forwarding');
  const counters = newCounters();
  const role = new RealServerRole({ ...ports, shared: { clock, log, observer: {}, counters } });
  try {
    await role.start();
    role.apply([]);
  } finally {
    role.stop();
  }
  if (nftables !== undefined) {
    const steps = planTables([], await nftables.read(TABLE, []));
    if (steps.length > 0) nftables.commit(steps);
    counters.changes += steps.length;
  }
  if (ipvs !== undefined) counters.changes += removeServices(ipvs, claims);
  if (counters.changes > 0)
    log.info('removed what a predecessor balanced with', { objects: counters.changes });
}
