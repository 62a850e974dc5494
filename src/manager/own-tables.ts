import type { Config } from '../config/index.ts';
import { openNftables, type ObservedTable, type OpenKernel } from '../linux/index.ts';
import { BALANCER_TABLE } from '../node/index.ts';
import { guardTable } from './instance.ts';

/** The tables of this process in nf_tables, for the state dump; none where they cannot be read. */
export async function readOwnTables(
  { poller }: OpenKernel,
  config: Config,
): Promise<readonly ObservedTable[]> {
  try {
    const nftables = openNftables(poller);
    try {
      const names = [
        ...(config.enableLoadBalancer ? [BALANCER_TABLE] : []),
        ...(config.enableServiceSecurity ? [guardTable(config)] : []),
      ];
      return (await Promise.all(names.map((name) => nftables.read(name, [])))).flat();
    } finally {
      nftables.close();
    }
  } catch {
    return [];
  }
}
