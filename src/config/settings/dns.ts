import { bool, choice, lenientChoice, uint } from '../setting.ts';

/** VIPs that come from DNS or DHCP. */
export const dnsSettings = {
  dnsMode: lenientChoice(['first', 'ipv4', 'ipv6', 'dual'], 'first', {
    flag: 'dnsMode',
    env: 'dns_mode',
    key: ['dnsMode', 'dnsDualStackMode'],
    feature: 'dns',
    doc: 'Which addresses of a DNS name become VIPs.',
  }),
  ddns: bool(false, {
    flag: 'ddns',
    env: 'vip_ddns',
    key: 'ddns',
    feature: 'dns',
    doc: 'The address is a name that DHCP should register.',
    unbuilt: 'dynamic DNS',
  }),
  dhcpMode: choice(
    ['', 'ipv4', 'ipv6', 'dual'],
    '',
    {
      flag: 'dhcpMode',
      env: 'dhcp_mode',
      key: ['dhcpMode', 'dhcpDualStackMode'],
      feature: 'dns',
      doc: 'Families asked of DHCP: ipv4, ipv6 or dual; empty means as dnsMode, or ipv4 when that is first.',
    },
    { first: 'ipv4' },
  ),
  dhcpBackoffAttempts: uint(3, {
    flag: 'dhcpBackoffAttempts',
    env: 'dhcp_backoff_attempts',
    key: 'dhcpBackoffAttempts',
    feature: 'dns',
    doc: 'Tries to get an address by DHCP; 0 means for ever.',
  }),
} as const;
