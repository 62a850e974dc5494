import type { Config, SettingName } from './settings.ts';

interface Finding {
  readonly setting: SettingName;
  readonly problem: string;
  readonly remedy: string;
}

/** RTN_LOCAL; 0 means unicast. */
const lastType = 2;
/** RT_TABLE_LOCAL: the kernel's own routes to the addresses of this node, the VIP's among them. */
const localTable = 255;

/** What Linux would refuse with every try, or turn into something else. Nothing is asked in other modes. */
export function routingFindings(config: Config): readonly Finding[] {
  if (!config.enableRoutingTable) return [];
  const findings: Finding[] = [];
  if (config.routingTableType > lastType)
    findings.push({
      setting: 'routingTableType',
      problem: 'is no type that a route to a VIP over a link can have',
      remedy: 'use 1 (unicast) or 2 (local)',
    });
  if (config.routingTableId === localTable)
    findings.push({
      setting: 'routingTableId',
      problem: 'is the table in which the kernel keeps its own addresses',
      remedy: 'use a table of its own, such as 198',
    });
  return findings;
}
