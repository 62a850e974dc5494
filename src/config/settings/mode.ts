import { bool } from '../setting.ts';

/** How VIPs are made reachable, and what for. */
export const modeSettings = {
  enableArp: bool(false, {
    flag: 'arp',
    env: 'vip_arp',
    key: 'enableARP',
    feature: 'mode',
    doc: 'Layer-2 mode: announce VIPs by ARP and NDP.',
  }),
  enableBgp: bool(false, {
    flag: 'bgp',
    env: 'bgp_enable',
    key: 'enableBGP',
    feature: 'mode',
    doc: 'BGP mode: advertise VIPs to BGP peers.',
  }),
  enableRoutingTable: bool(false, {
    flag: 'table',
    env: 'vip_routingtable',
    key: 'enableRoutingTable',
    feature: 'mode',
    doc: 'Routing-table mode: write routes for VIPs into a kernel table.',
  }),
  enableWireguard: bool(false, {
    flag: 'wireguard',
    env: 'vip_wireguard',
    key: 'enableWireguard',
    feature: 'mode',
    doc: 'WireGuard mode: VIPs are reached through a tunnel.',
    unbuilt: 'WireGuard mode',
  }),
  enableControlPlane: bool(false, {
    flag: 'controlplane',
    env: 'cp_enable',
    key: 'enableControlPlane',
    feature: 'mode',
    doc: 'Give the API servers a VIP.',
  }),
  enableServices: bool(false, {
    flag: 'services',
    env: 'svc_enable',
    key: 'enableServices',
    feature: 'mode',
    doc: 'Give Services of type LoadBalancer their VIPs.',
  }),
} as const;
