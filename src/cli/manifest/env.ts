import { peerText, settings, type Config, type SettingName, type Sources } from '../../config/index.ts';

export type EnvVar =
  | { readonly name: string; readonly value?: string }
  | { readonly name: string; readonly valueFrom: { readonly fieldRef: { readonly fieldPath: string } } };

/** What the container is started with: its environment, and flags for what no variable can say. */
export interface ContainerSettings {
  readonly env: readonly EnvVar[];
  readonly args: readonly string[];
}

/**
 * The settings of a manifest. The variables that kube-vip writes come first, in its order and under its
 * conditions; then whatever else was set, so that no setting is lost on the way into the manifest.
 *
 * @param peers the text of the flags that name BGP peers, which is passed on as it is.
 */
export function containerSettings(config: Config, sources: Sources, peers?: string): ContainerSettings {
  const names = usual(config);
  const written = new Set<SettingName>(names);
  const extra = (Object.keys(settings) as SettingName[]).filter(
    (name) => !written.has(name) && !notForContainer.has(name) && wasSet(name, config, sources),
  );
  const asGiven = sources.bgpPeers.kind === 'flag' ? peers : undefined;
  const byEnv = extra.filter((name) => variable(name) !== undefined && textOf(name, config) !== '');
  const byFlag = [...names, ...extra].filter(
    (name) => wasSet(name, config, sources) && (variable(name) === undefined || textOf(name, config) === ''),
  );
  return {
    env: [...names, ...byEnv].flatMap((name) => envVar(name, config, asGiven)),
    args: byFlag.flatMap((name) => flagOf(name, config)),
  };
}

/** Names in the order of kube-vip's generator; each condition is its. */
function usual(config: Config): readonly SettingName[] {
  const when = (condition: boolean, ...names: SettingName[]): readonly SettingName[] =>
    condition ? names : [];
  const ifSet = (...names: SettingName[]): readonly SettingName[] =>
    names.filter((name) => config[name] !== '' && config[name] !== false && config[name] !== 0);
  return [
    'enableArp',
    'port',
    'nodeName',
    ...ifSet('instanceName', 'interface'),
    ...when(config.interface !== '', ...ifSet('loInterfaceGlobalScope')),
    ...ifSet('servicesInterface', 'allowInterfaceNotUp', 'vipSubnet'),
    'dnsMode',
    'dhcpMode',
    ...when(config.dhcpBackoffAttempts !== settings.dhcpBackoffAttempts.default, 'dhcpBackoffAttempts'),
    ...when(
      config.enableControlPlane,
      'enableControlPlane',
      'namespace',
      ...ifSet('ddns', 'detectControlPlane'),
    ),
    ...when(
      config.enableServices,
      'enableServices',
      'servicesLeaseName',
      ...ifSet('enableServicesElection', 'loadBalancerClassOnly', 'enableServiceSecurity'),
    ),
    ...when(
      config.enableLeaderElection,
      'enableLeaderElection',
      'leaseName',
      'leaseDuration',
      'renewDeadline',
      'retryPeriod',
    ),
    ...when(config.loseLeadership, 'loseLeadership', 'loseLeadershipTimeoutSeconds'),
    ...ifSet('enableNodeLabeling', 'annotations', 'enableWireguard', 'enableRoutingTable'),
    ...when(config.enableBgp, ...bgp(config, ifSet)),
    ...when(
      config.controlPlaneHealthCheckAddress !== '',
      ...healthCheck,
      ...ifSet('controlPlaneHealthCheckCaPath'),
    ),
    ...when(
      config.enableLoadBalancer,
      'enableLoadBalancer',
      'loadBalancerPort',
      'loadBalancerForwardingMethod',
    ),
    config.address === '' ? 'vip' : 'address',
    'prometheusHttpServer',
    ...ifSet(
      'enableEndpoints',
      'disableServiceUpdates',
      'mirrorDestInterface',
      'healthCheckPort',
      'preserveVipOnLeadershipLoss',
      'debounceTime',
    ),
  ];
}

const healthCheck: readonly SettingName[] = [
  'controlPlaneHealthCheckAddress',
  'controlPlaneHealthCheckPeriodSeconds',
  'controlPlaneHealthCheckTimeoutSeconds',
  'controlPlaneHealthCheckFailureThreshold',
];

function bgp(
  config: Config,
  ifSet: (...names: SettingName[]) => readonly SettingName[],
): readonly SettingName[] {
  return [
    'enableBgp',
    ...ifSet('bgpAttachIpToInterface'),
    'bgpRouterId',
    'bgpAs',
    'bgpPeerAddress',
    'bgpPeerPass',
    'bgpPeerAs',
    ...ifSet('bgpSourceIf', 'bgpSourceIp'),
    ...(config.bgpPeers.length === 0 ? [] : ['bgpPeers' as const]),
  ];
}

/** Used by the generator itself, or meaningless in a container; and Services' variables need svc_enable beside them. */
const notForContainer: ReadonlySet<SettingName> = new Set(['k8sConfigFile', 'configFile', 'vipCidr']);

function isIdle(name: SettingName, config: Config): boolean {
  return config.controlPlaneHealthCheckAddress === '' && settings[name].feature === 'health';
}

function wasSet(name: SettingName, config: Config, sources: Sources): boolean {
  const { inert, servicesEnv, default: fallback } = settings[name];
  if (inert || name === 'nodeName' || (servicesEnv && !config.enableServices)) return false;
  if (isIdle(name, config)) return false;
  const { kind } = sources[name];
  return kind !== 'default' && kind !== 'derived' && textOf(name, config) !== format(name, fallback);
}

function variable(name: SettingName): string | undefined {
  return settings[name].env[0];
}

/** The text the daemon will read back, passwords included. */
function textOf(name: SettingName, config: Config): string {
  return name === 'bgpPeers' ? config.bgpPeers.map(peerText).join(',') : format(name, config[name]);
}

function format(name: SettingName, value: unknown): string {
  const { codec }: { codec: { format(value: unknown): string } } = settings[name];
  return codec.format(value);
}

function envVar(setting: SettingName, config: Config, peers: string | undefined): readonly EnvVar[] {
  const name = variable(setting);
  if (name === undefined) return [];
  if (setting === 'nodeName') return [{ name, valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }];
  const value = setting === 'bgpPeers' && peers !== undefined ? peers : textOf(setting, config);
  return [value === '' ? { name } : { name, value }];
}

function flagOf(name: SettingName, config: Config): readonly string[] {
  const flag = settings[name].flags[0];
  return flag === undefined ? [] : [`--${flag}=${textOf(name, config)}`];
}
