import type { Config } from '../config/index.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { openNftables, type Nftables, type OpenKernel } from '../linux/index.ts';
import { removeGuards } from '../node/index.ts';
import { StartError } from './errors.ts';
import { guardTable } from './instance.ts';

export interface OpenGuards {
  readonly nftables: Nftables;
  readonly table: string;
}

/**
 * The firewall for service security; undefined where that is off. Then rules that an earlier process with
 * another setting left are removed.
 *
 * @throws StartError when it is on and this kernel has no nf_tables: VIPs would be open to all.
 */
export async function openGuards(
  config: Config,
  { poller }: OpenKernel,
  log: Logger,
): Promise<OpenGuards | undefined> {
  if (!config.enableServices) return undefined;
  const isOn = config.enableServiceSecurity;
  const table = guardTable(config);
  let nftables: Nftables | undefined;
  try {
    nftables = openNftables(poller);
    if (isOn) await nftables.read(table, []);
    else await removeGuards(nftables, table);
  } catch (error) {
    nftables?.close();
    if (!isOn) return undefined;
    throw new StartError(`enable_service_security: nf_tables cannot be used: ${messageOf(error)}`);
  }
  if (isOn && !config.egressWithNftables)
    log.warn('egress_withnftables=false: service security uses nftables all the same');
  if (isOn) return { nftables, table };
  nftables.close();
  return undefined;
}
