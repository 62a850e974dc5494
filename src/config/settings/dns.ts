import type { Codec } from '../codecs.ts';
import { parseGoInt } from '../go-syntax.ts';
import { bool, choice, lenientChoice, setting, uint } from '../setting.ts';

const defaultAttempts = 3;
const { codec: countCodec } = uint(defaultAttempts, { feature: 'dns', doc: '' });

/** kube-vip goes by the default when the environment says a negative number. */
const attemptsCodec: Codec<number> = {
  ...countCodec,
  parse: (text, origin) =>
    origin === 'env' && parseGoInt(text, 10) < 0
      ? { value: defaultAttempts, warning: `is negative; using ${defaultAttempts}` }
      : countCodec.parse(text, origin),
};

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
    doc: 'The address is a name whose VIP comes from DHCP, under the name up to the first dot, for the DHCP server to register in DNS. The holder of the lease asks; IPv4.',
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
  dhcpBackoffAttempts: setting(attemptsCodec, defaultAttempts, {
    flag: 'dhcpBackoffAttempts',
    env: 'dhcp_backoff_attempts',
    key: 'dhcpBackoffAttempts',
    feature: 'dns',
    doc: 'Tries to get an address by DHCP; 0 means for ever.',
  }),
} as const;
