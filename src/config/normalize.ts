import { electsNobody, timesOutOfOrder } from './elections.ts';
import type { ReadSettings, Sources } from './read.ts';
import { defaultConfig, type Config } from './settings.ts';
import { sourceText } from './sources.ts';
import { translatesPorts } from './validate.ts';
import { derivedSubnet } from './vips.ts';

export interface Normalized {
  readonly config: Config;
  readonly sources: Sources;
  readonly warnings: readonly string[];
}

/** Below this an announcement period is taken for a mistake, as kube-vip does. */
const leastArpRateMs = 500;
const defaultArpRateMs = 3000;
const defaultBackendCheckSeconds = 5;
const times = ['leaseDuration', 'renewDeadline', 'retryPeriod'] as const;

/**
 * Fills in what follows from other settings and from the host name (undefined: the node name is somebody
 * else's business); every change beyond that is a warning.
 */
export function normalize(read: ReadSettings, hostname: string | undefined): Normalized {
  const warnings = [...read.warnings];
  const config: { -readonly [K in keyof Config]: Config[K] } = { ...read.config };
  const sources: { -readonly [K in keyof Sources]: Sources[K] } = { ...read.sources };

  if (config.nodeName === '' && hostname !== undefined) {
    warnings.push(`vip_nodename is not set; using the host name ${hostname.toLowerCase()}`);
    config.nodeName = hostname;
    sources.nodeName = { kind: 'derived', from: 'the host name' };
  }
  config.nodeName = config.nodeName.toLowerCase();

  if (config.arpBroadcastRate < leastArpRateMs) {
    const given = `${sourceText(sources.arpBroadcastRate)}=${config.arpBroadcastRate}`;
    warnings.push(`${given} is below ${leastArpRateMs} ms; using ${defaultArpRateMs} ms`);
    config.arpBroadcastRate = defaultArpRateMs;
  }

  if (config.routingProtocol === 0) {
    const { routingProtocol } = defaultConfig;
    warnings.push(
      `${sourceText(sources.routingProtocol)}=0 marks no route as ours; using ${routingProtocol}`,
    );
    config.routingProtocol = routingProtocol;
  }

  if (electsNobody(config) && timesOutOfOrder(config)) {
    const { leaseDuration, renewDeadline, retryPeriod } = config;
    warnings.push(
      `vip_leaseduration=${leaseDuration} vip_renewdeadline=${renewDeadline} vip_retryperiod=${retryPeriod} cannot work, and nobody is elected with these settings; using the defaults`,
    );
    for (const name of times) config[name] = defaultConfig[name];
  }

  if (config.dhcpMode === '') {
    config.dhcpMode = config.dnsMode === 'first' ? 'ipv4' : config.dnsMode;
    sources.dhcpMode = { kind: 'derived', from: 'dns_mode' };
  }

  const misplaced = config.bgpPeers.find(({ password }) => password === 'true' || password === 'false');
  if (misplaced !== undefined) {
    const { address, as, password } = misplaced;
    const meant = `${address.includes(':') ? `[${address}]` : address}:${as}::${password}`;
    const which = `${sourceText(sources.bgpPeers)}: peer ${address} has the password "${password}"`;
    warnings.push(`${which}; if multihop is meant write ${meant}`);
  }

  if (config.backendHealthCheckInterval <= 0) config.backendHealthCheckInterval = defaultBackendCheckSeconds;

  if (translatesPorts(config) && config.loadBalancerForwardingMethod === 'local') {
    // The default, and generated manifests spell it out: nobody's wish, so lb_port is what counts.
    const ports = `lb_port=${config.loadBalancerPort} is not port=${config.port}`;
    warnings.push(
      `${ports}, and lb_fwdmethod=local cannot translate ports; using masquerade, which all API servers serve`,
    );
    config.loadBalancerForwardingMethod = 'masquerade';
    sources.loadBalancerForwardingMethod = { kind: 'derived', from: 'lb_port' };
  }

  if (config.vipSubnet === '') {
    if (config.address !== '') {
      // Not from vip_cidr: beside an IPv6 address its usual 32 would be a wrong prefix, and kube-vip ignores it there.
      config.vipSubnet = derivedSubnet(config.address);
      sources.vipSubnet = { kind: 'derived', from: 'address' };
    } else if (config.vip !== '' && config.vipCidr !== '') {
      config.vipSubnet = config.vipCidr;
      sources.vipSubnet = sources.vipCidr;
      warnings.push('vip_cidr is an old name; use vip_subnet');
    }
  }
  return { config, sources, warnings };
}
