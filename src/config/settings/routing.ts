import { bool, int } from '../setting.ts';

/** Routing-table mode. */
export const routingSettings = {
  routingTableId: int(198, {
    flag: 'tableID',
    env: 'vip_routingtableid',
    key: 'routingTableID',
    min: 0,
    feature: 'routing-table',
    doc: 'Kernel table that the routes go to.',
  }),
  routingTableType: int(1, {
    flag: 'tableType',
    env: 'vip_routingtabletype',
    key: 'routingTableType',
    min: 0,
    max: 255,
    feature: 'routing-table',
    doc: 'Type of the routes as the kernel numbers them: 1 unicast, 2 local.',
  }),
  routingProtocol: int(248, {
    flag: 'routingProtocol',
    env: 'vip_routingprotocol',
    key: 'routingProtocol',
    min: 0,
    max: 255,
    feature: 'routing-table',
    doc: 'Protocol number that marks the routes as ours; 0 would mark none and means 248.',
  }),
  cleanRoutingTable: bool(false, {
    flag: 'cleanRoutingTable',
    env: 'vip_cleanroutingtable',
    key: 'cleanRoutingTable',
    feature: 'routing-table',
    doc: 'Remove routes with our table and protocol that nobody wants.',
  }),
} as const;
