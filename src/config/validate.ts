import { bgpFindings } from './bgp-rules.ts';
import { splitList } from './codecs.ts';
import type { ConfigProblem } from './errors.ts';
import type { Sources } from './read.ts';
import { routingFindings } from './routing-rules.ts';
import { displayName, displayValue, type Config, type SettingName } from './settings.ts';
import { sourceText } from './sources.ts';
import { hostLength, type Ip } from '../lib/ip.ts';
import { parseVips, servicePrefixes, type Vip } from './vips.ts';

/** Rules between settings. Each takes the whole configuration and names the setting to change. */
type Finding = { readonly setting: SettingName; readonly problem: string; readonly remedy: string };
type Rule = (config: Config) => readonly Finding[];

/** A manifest may leave things to the daemon that will read it. */
export type Purpose = 'daemon' | 'manifest';

/** Checks every rule that matters for the purpose; an empty list means that the configuration makes sense. */
export function validate(config: Config, sources: Sources, purpose: Purpose): readonly ConfigProblem[] {
  return [...(purpose === 'daemon' ? daemonRules : []), ...rules]
    .flatMap((rule) => rule(config))
    .map(({ setting, problem, remedy }) => ({
      setting: displayName(setting),
      source: sourceText(sources[setting]),
      value: displayValue(setting, config[setting]),
      problem,
      remedy,
    }));
}

/** The addresses of the control-plane VIP; only a configuration that passed `validate` has no surprises here. */
export function controlPlaneVips(config: Config): readonly Vip[] {
  return parseVips(vipText(config), config.vipSubnet).vips;
}

/** The names whose addresses are VIPs as well. */
export function controlPlaneNames(config: Config): readonly string[] {
  return parseVips(vipText(config), config.vipSubnet).names;
}

/** What `vip_subnet` says about a VIP that came from a name. */
export function controlPlanePrefixLength(config: Config, vip: Ip): number {
  return parseVips(vip, config.vipSubnet).vips[0]?.prefixLength ?? hostLength(vip);
}

function vipText(config: Config): string {
  return config.address === '' ? config.vip : config.address;
}

const modeSwitches = ['enableArp', 'enableBgp', 'enableWireguard', 'enableRoutingTable'] as const;

/** V10 */
const oneMode: Rule = (config) => {
  const on = modeSwitches.filter((mode) => config[mode]);
  if (on.length === 0)
    return [
      {
        setting: 'enableArp',
        problem: 'no valid kube-vip mode detected',
        remedy: `set one of ${modeSwitches.map(displayName).join(', ')} to true`,
      },
    ];
  const second = on[1];
  if (second === undefined) return [];
  const problem = `multiple kube-vip modes detected: ${on.map(displayName).join(', ')}`;
  return [{ setting: second, problem, remedy: 'leave one of them on' }];
};

/** V11 */
const oneFeature: Rule = (config) =>
  config.enableControlPlane || config.enableServices
    ? []
    : [
        {
          setting: 'enableControlPlane',
          problem: 'no features are enabled',
          remedy: 'set cp_enable or svc_enable to true',
        },
      ];

/** V8; WireGuard takes its addresses from the tunnel secret. */
const legacyVip: Rule = (config) => {
  const concerned =
    config.enableControlPlane && (config.enableArp || config.enableBgp || config.enableRoutingTable);
  return concerned && config.address === '' && config.vip !== '' && config.vipSubnet === ''
    ? [
        {
          setting: 'vipSubnet',
          problem: 'vip_subnet must be set if using vip_address instead of address environment variable',
          remedy: 'use address, or set vip_subnet to 32 (IPv4) or 128 (IPv6)',
        },
      ]
    : [];
};

/** V12 */
const autoSubnet: Rule = (config) => {
  if (!config.vipSubnet.split(',').some((part) => part.trim() === 'auto')) return [];
  const finding = (problem: string): Finding => ({
    setting: 'vipSubnet',
    problem,
    remedy: 'write the prefix length, such as 32',
  });
  if (!config.enableArp) return [finding('auto subnet discovery only works in ARP mode')];
  if (vipText(config) !== '')
    return [finding('auto subnet discovery cannot be used together with a VIP address')];
  return config.enableControlPlane ? [finding('auto subnet discovery only works for services')] : [];
};

/** V9, V15 */
const vipList: Rule = (config) => {
  const setting = config.address === '' ? 'vip' : 'address';
  if (config.vipSubnet.includes('auto')) return [];
  return parseVips(vipText(config), config.vipSubnet).problems.map(({ about, problem, remedy }) => {
    return { setting: about === 'subnet' ? 'vipSubnet' : setting, problem, remedy };
  });
};

/** Without a control-plane VIP nothing else reads vip_subnet. */
const serviceSubnet: Rule = (config) =>
  config.enableServices && vipText(config) === ''
    ? servicePrefixes(config.vipSubnet).problems.map(({ problem, remedy }) => {
        return { setting: 'vipSubnet', problem, remedy };
      })
    : [];

/** WireGuard takes its addresses from the tunnel secret. */
const vipGiven: Rule = (config) =>
  config.enableControlPlane && !config.enableWireguard && splitList(vipText(config)).length === 0
    ? [{ setting: 'address', problem: 'no VIP for the control plane', remedy: 'set address to the VIP' }]
    : [];

/** A VIP that stays after a loss and one that goes with the lease are two wishes. */
const eitherStaysOrGoes: Rule = (config) =>
  config.preserveVipOnLeadershipLoss && config.expireVipWithLease
    ? [
        {
          setting: 'expireVipWithLease',
          problem: `contradicts ${displayName('preserveVipOnLeadershipLoss')}`,
          remedy: 'leave one of them on',
        },
      ]
    : [];

/**
 * V16, and why: a holder gives up at the renew deadline, so the rest of the lease is the time it has to get the VIP
 * off the wire; client-go adds jitter up to 1.2 to the retry period, and one retry has to fit before the deadline.
 */
const leaseTimings: Rule = ({ leaseDuration, renewDeadline, retryPeriod }) => {
  const remedy = 'keep lease duration > renew deadline > retry period × 1.2, for example 15, 10 and 2';
  const all = `(vip_leaseduration=${leaseDuration} vip_renewdeadline=${renewDeadline} vip_retryperiod=${retryPeriod})`;
  const findings: Finding[] = [];
  if (leaseDuration <= renewDeadline)
    findings.push({
      setting: 'leaseDuration',
      problem: `lease duration must be greater than the renew deadline ${all}`,
      remedy,
    });
  if (renewDeadline <= retryPeriod * 1.2)
    findings.push({
      setting: 'renewDeadline',
      problem: `renew deadline must be greater than the retry period × 1.2 ${all}`,
      remedy,
    });
  return findings;
};

/** V4 */
const healthPort: Rule = ({ healthCheckPort }) =>
  healthCheckPort !== 0 && healthCheckPort < 1024
    ? [
        {
          setting: 'healthCheckPort',
          problem: 'health check port is less than 1024',
          remedy: 'use 1024 to 65535, or 0 for none',
        },
      ]
    : [];

const maxInstanceNameBytes = 243;

/** V7; the name becomes part of nftables table names. */
const instanceName: Rule = ({ instanceName: name }) => {
  const remedy = `use at most ${maxInstanceNameBytes} ASCII letters, digits, dots, dashes and underscores`;
  const bytes = Buffer.byteLength(name);
  if (bytes > maxInstanceNameBytes)
    return [
      {
        setting: 'instanceName',
        problem: `is ${bytes} bytes, must not exceed ${maxInstanceNameBytes}`,
        remedy,
      },
    ];
  const bad = /[^A-Za-z0-9._-]/u.exec(name)?.[0];
  return bad === undefined
    ? []
    : [{ setting: 'instanceName', problem: `contains invalid character ${JSON.stringify(bad)}`, remedy }];
};

/** `NAME`, `NAMESPACE/NAME` or `/NAME`, as the API server wants them: a label, and a subdomain of at most 253 characters (RFC 1123). */
const leaseName =
  /^(?:(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)?\/)?(?=[^/]{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** An election over a name that cannot exist would try for ever. */
const leaseNames: Rule = (config) =>
  (['leaseName', 'servicesLeaseName'] as const)
    .filter((setting) => !leaseName.test(config[setting]))
    .map((setting) => ({
      setting,
      problem: 'is no name that a Lease can have',
      remedy: 'write NAME or NAMESPACE/NAME with lower-case letters, digits, dashes and dots',
    }));

const namespaceName = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Empty is left to the service-account mount, beside which nothing reads it. */
const namespaceOfLeases: Rule = ({ namespace }) =>
  namespace === '' || namespaceName.test(namespace)
    ? []
    : [
        {
          setting: 'namespace',
          problem: 'is no name that a namespace can have',
          remedy: 'use lower-case letters, digits and dashes',
        },
      ];

/** What the API server wants of annotations: an optional DNS name, a slash, a name; all of them in 256 KiB. */
const annotationKey =
  /^(?:(?=.{1,253}\/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\/)?[a-z0-9](?:[-\w.]{0,61}[a-z0-9])?$/i;
const maxAnnotationBytes = 256 << 10;

/** A Lease with a bad annotation is refused with every try, so nobody would ever hold it. */
const annotationsOfLease: Rule = ({ leaseAnnotations }) => {
  const setting = 'leaseAnnotations';
  const entries = Object.entries(leaseAnnotations);
  const bad = entries.find(([key]) => !annotationKey.test(key));
  const remedy = 'write {"NAME":"text"} or {"DNS.NAME/NAME":"text"}';
  if (bad !== undefined)
    return [{ setting, problem: `has a key that no annotation can have: ${JSON.stringify(bad[0])}`, remedy }];
  const bytes = entries.reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0);
  return bytes > maxAnnotationBytes
    ? [{ setting, problem: 'is longer than all annotations of an object may be', remedy: 'shorten it' }]
    : [];
};

const leastDebounceMs = 200;

const debounce: Rule = ({ debounceTime }) =>
  debounceTime > 0 && debounceTime < leastDebounceMs
    ? [
        {
          setting: 'debounceTime',
          problem: `is below ${leastDebounceMs}ms`,
          remedy: 'use 0s (off) or 200ms and more',
        },
      ]
    : [];

/** The balancer has to send connections to another port than the one they are for. */
export function translatesPorts(config: Config): boolean {
  const { enableControlPlane, enableLoadBalancer, loadBalancerPort, port } = config;
  return enableControlPlane && enableLoadBalancer && loadBalancerPort !== port;
}

/** All methods but one hand the packet on as it is, port included. */
const portsOfBalancer: Rule = (config) => {
  const { loadBalancerForwardingMethod: method, port } = config;
  if (!translatesPorts(config) || method === 'masquerade') return [];
  const setting = 'loadBalancerPort';
  const methodName = displayName('loadBalancerForwardingMethod');
  const problem = `is not ${displayName('port')}=${port}, and ${methodName}=${method} cannot translate ports`;
  const remedy = `set ${displayName(setting)} to ${port}, or ${methodName} to masquerade`;
  return [{ setting, problem, remedy }];
};

/** CP-145: the holder of the lease is the one DHCP client of the name. */
const dynamicNames: Rule = (config) => {
  if (!config.ddns || !config.enableControlPlane || controlPlaneNames(config).length === 0) return [];
  const findings: Finding[] = [];
  if (config.dhcpMode !== 'ipv4')
    findings.push({
      setting: 'dhcpMode',
      problem: 'DHCPv6 is not implemented yet',
      remedy: `set ${displayName('dhcpMode')} to ipv4`,
    });
  if (config.enableRoutingTable || (config.enableBgp && !config.enableLeaderElection))
    findings.push({
      setting: 'ddns',
      problem: 'needs a holder of the lease, and in this mode each node has the VIP',
      remedy: `use ARP mode, or ${displayName('enableBgp')} with ${displayName('enableLeaderElection')}=true`,
    });
  if (config.enableLoadBalancer)
    findings.push({
      setting: 'enableLoadBalancer',
      problem: `does not balance a VIP from DHCP (${displayName('ddns')}) yet`,
      remedy: `leave one of them off, or give the VIP as an address that the DHCP server reserves`,
    });
  return findings;
};

const daemonRules: readonly Rule[] = [
  oneMode,
  oneFeature,
  vipGiven,
  legacyVip,
  autoSubnet,
  serviceSubnet,
  bgpFindings,
  routingFindings,
  dynamicNames,
];

const rules: readonly Rule[] = [
  vipList,
  leaseTimings,
  eitherStaysOrGoes,
  leaseNames,
  namespaceOfLeases,
  annotationsOfLease,
  healthPort,
  instanceName,
  debounce,
  portsOfBalancer,
];
