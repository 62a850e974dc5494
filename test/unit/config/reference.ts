/**
 * The settings of kube-vip v1.2.3 as its users know them, written down by hand from the original's
 * flags, environment and file keys: the judge of the table in src/config.
 */
export interface ReferenceRow {
  readonly name: string;
  /** Empty: the original has no flag. */
  readonly flag: string;
  readonly type: 'bool' | 'string' | 'int' | 'uint' | 'list' | 'peers' | 'duration' | 'json';
  readonly fallback: unknown;
  readonly env: readonly string[];
  /** Every spelling of the file key. */
  readonly keys: readonly string[];
  /** A text other than the default, and what it means. */
  readonly sample: string;
  readonly value: unknown;
  /** Only counts when svc_enable is set. */
  readonly services?: true;
}

type Options = { readonly type?: ReferenceRow['type']; readonly value?: unknown; readonly services?: true };

function row(
  name: string,
  flag: string,
  fallback: unknown,
  env: string,
  keys: string,
  sample: string,
  options: Options = {},
): ReferenceRow {
  const type =
    options.type ??
    (typeof fallback === 'boolean' ? 'bool' : typeof fallback === 'number' ? 'int' : 'string');
  const value =
    options.value ??
    (type === 'bool' ? sample === 'true' : typeof fallback === 'number' ? Number(sample) : sample);
  const words = (text: string): readonly string[] => text.split(' ').filter((word) => word !== '');
  const services = options.services === true ? { services: true as const } : {};
  return { name, flag, type, fallback, env: words(env), keys: words(keys), sample, value, ...services };
}

const svc = { services: true } as const;
/** `192.0.2.1:65000`, everything else as the original has it by default. */
export const plainPeer = {
  address: '192.0.2.1',
  interface: '',
  as: 65000,
  password: '',
  multiHop: false,
  port: 179,
  mpbgpNexthop: '',
  mpbgpIpv4: '',
  mpbgpIpv6: '',
  bfd: { enabled: false, rxMs: 300, txMs: 300, multiplier: 3 },
};
const peer = { ...plainPeer, address: '192.0.2.7', as: 65001 };

export const referenceRows: readonly ReferenceRow[] = [
  row('interface', 'interface', '', 'vip_interface', 'interface', 'eth7'),
  row('servicesInterface', 'serviceInterface', '', 'vip_servicesinterface', 'servicesInterface', 'eth8'),
  row(
    'allowInterfaceNotUp',
    'allowInterfaceNotUp',
    false,
    'vip_allow_interface_not_up',
    'allowInterfaceNotUp',
    'true',
  ),
  row('vip', 'vip', '', 'vip_address', 'vip', '192.0.2.9'),
  row('vipSubnet', 'vipSubnet', '', 'vip_subnet', 'vipSubnet', '24'),
  row('nodeName', 'nodeName', '', 'vip_nodename', 'nodeName leaseNodeName', 'node-x'),
  row('address', 'address', '', 'address', 'address', '192.0.2.8'),
  row('port', 'port', 6443, 'port', 'port', '7443', { type: 'uint' }),
  row('enableArp', 'arp', false, 'vip_arp', 'enableARP', 'true'),
  row('enableBgp', 'bgp', false, 'bgp_enable', 'enableBGP', 'true'),
  row('enableRoutingTable', 'table', false, 'vip_routingtable', 'enableRoutingTable', 'true'),
  row('enableWireguard', 'wireguard', false, 'vip_wireguard', 'enableWireguard', 'true'),
  row(
    'preserveVipOnLeadershipLoss',
    'preserveVipOnLeadershipLoss',
    false,
    'vip_preserve_on_leadership_loss',
    'preserveVIPOnLeadershipLoss preserveVipOnLeadershipLoss',
    'true',
  ),
  row('loseLeadership', 'loseLeadership', false, 'vip_loseleadership', 'loseLeadership', 'true'),
  row(
    'loseLeadershipTimeoutSeconds',
    'loseLeadershiptTimeoutSeconds',
    30,
    'vip_loseleadership_timeout_seconds',
    'loseLeadershipTimeoutSeconds',
    '5',
  ),
  row(
    'loInterfaceGlobalScope',
    'loInterfaceGlobalScope',
    false,
    'vip_interfaceloglobal',
    'loInterfaceGlobalScope',
    'true',
  ),
  row('skipDad', '', false, 'vip_skipdad', 'skipDAD', 'true'),
  row('arpBroadcastRate', '', 3000, 'vip_arpRate', 'arpBroadcastRate', '1500'),
  row('enableControlPlane', 'controlplane', false, 'cp_enable', 'enableControlPlane', 'true'),
  row('detectControlPlane', 'autodetectcp', false, 'cp_detect', 'detectControlPlane', 'true'),
  row('kubernetesAddr', '', '', 'kubernetes_addr', 'kubernetesAddr', '127.0.0.1:6443'),
  row(
    'k8sConfigFile',
    'k8sConfigPath',
    '/etc/kubernetes/admin.conf',
    'k8s_config_file',
    'k8sConfigFile',
    '/k.conf',
  ),
  row('namespace', 'namespace', 'kube-system', 'cp_namespace', 'namespace', 'lb'),
  row('enableServices', 'services', false, 'svc_enable', 'enableServices', 'true'),
  row('serviceNamespace', '', '', 'svc_namespace', 'serviceNamespace', 'apps', svc),
  row('instanceName', 'instanceName', '', 'instance_name INSTANCE_NAME', 'instanceName', 'blue'),
  row('annotations', 'annotations', '', 'annotation', 'annotations', 'example.com'),
  row('logging', 'log', 0, 'vip_loglevel', 'logging', '-4'),
  row('enableLeaderElection', 'leaderElection', false, 'vip_leaderelection', 'enableLeaderElection', 'true'),
  row('leaderElectionType', 'leaderElectionType', 'kubernetes', '', 'leaderElectionType', 'etcd'),
  row('leaseName', 'leaseName', 'plndr-cp-lock', 'vip_leasename', 'leaseName', 'other'),
  row('leaseDuration', 'leaseDuration', 15, 'vip_leaseduration', 'leaseDuration', '60'),
  row('renewDeadline', 'leaseRenewDuration', 10, 'vip_renewdeadline', 'renewDeadline', '9'),
  row('retryPeriod', 'leaseRetry', 2, 'vip_retryperiod', 'retryPeriod', '3'),
  row('leaseAnnotations', '', {}, 'vip_leaseannotations', 'leaseAnnotations', '{"a":"b"}', {
    type: 'json',
    value: { a: 'b' },
  }),
  row(
    'servicesLeaseName',
    'servicesLeaseName',
    'plndr-svcs-lock',
    'svc_leasename',
    'servicesLeaseName',
    'ns/x',
    svc,
  ),
  row('etcdCaFile', 'etcdCACert', '', '', 'etcd.caFile', '/ca'),
  row('etcdClientCertFile', 'etcdCert', '', '', 'etcd.clientCertFile', '/crt'),
  row('etcdClientKeyFile', 'etcdKey', '', '', 'etcd.clientKeyFile', '/key'),
  row('etcdEndpoints', 'etcdEndpoints', [], '', 'etcd.endpoints', 'a:1,b:2', {
    type: 'list',
    value: ['a:1', 'b:2'],
  }),
  row(
    'enableNodeLabeling',
    'enableNodeLabeling',
    false,
    'enable_node_labeling',
    'enableNodeLabeling',
    'true',
  ),
  row('enableLoadBalancer', 'enableLoadBalancer', false, 'lb_enable', 'enableLoadBalancer', 'true'),
  row('loadBalancerPort', 'lbPort', 6443, 'lb_port', 'loadBalancerPort lbPort', '443', { type: 'uint' }),
  row(
    'loadBalancerForwardingMethod',
    'lbForwardingMethod',
    'local',
    'lb_fwdmethod',
    'loadBalancerForwardingMethod lbForwardingMethod',
    'masquerade',
  ),
  row(
    'backendHealthCheckInterval',
    '',
    0,
    'backend_health_check_interval',
    'backendHealthCheckInterval',
    '7',
  ),
  row('iptablesBackend', '', '', 'iptables_backend', 'iptablesBackend', 'nft'),
  row('egressWithNftables', 'egressWithNftables', true, 'egress_withnftables', 'egressWithNftables', 'false'),
  row(
    'controlPlaneHealthCheckAddress',
    'controlPlaneHealthCheckAddress',
    '',
    'control_plane_health_check_address',
    'controlPlaneHealthCheck.address',
    'https://127.0.0.1:6443/livez',
  ),
  row(
    'controlPlaneHealthCheckPeriodSeconds',
    'controlPlaneHealthCheckPeriodSeconds',
    5,
    'control_plane_health_check_period_seconds',
    'controlPlaneHealthCheck.periodSeconds',
    '6',
  ),
  row(
    'controlPlaneHealthCheckTimeoutSeconds',
    'controlPlaneHealthCheckTimeoutSeconds',
    3,
    'control_plane_health_check_timeout_seconds',
    'controlPlaneHealthCheck.timeoutSeconds',
    '0',
  ),
  row(
    'controlPlaneHealthCheckFailureThreshold',
    'controlPlaneHealthCheckFailureThreshold',
    3,
    'control_plane_health_check_failure_threshold',
    'controlPlaneHealthCheck.failureThreshold',
    '9',
  ),
  row(
    'controlPlaneHealthCheckCaPath',
    'controlPlaneHealthCheckCAPath',
    '',
    'control_plane_health_check_ca_path',
    'controlPlaneHealthCheck.caPath',
    '/ca.pem',
  ),
  row('healthCheckPort', 'healthCheckPort', 0, 'health_check_port', 'healthCheckPort', '8081'),
  row(
    'prometheusHttpServer',
    'prometheusHTTPServer',
    ':2112',
    'prometheus_server',
    'prometheusHTTPServer',
    ':9000',
  ),
  row('dnsMode', 'dnsMode', 'first', 'dns_mode', 'dnsMode dnsDualStackMode', 'dual'),
  row('ddns', 'ddns', false, 'vip_ddns', 'ddns', 'true'),
  row('dhcpMode', 'dhcpMode', '', 'dhcp_mode', 'dhcpMode dhcpDualStackMode', 'ipv6'),
  row('dhcpBackoffAttempts', 'dhcpBackoffAttempts', 3, 'dhcp_backoff_attempts', 'dhcpBackoffAttempts', '0', {
    type: 'uint',
  }),
  row('bgpRouterId', 'bgpRouterID', '', 'bgp_routerid', 'bgpConfig.routerID', '192.0.2.1'),
  row('bgpRouterInterface', '', '', 'bgp_routerinterface', '', 'lo'),
  row('bgpAs', 'localAS', 65000, 'bgp_as', 'bgpConfig.as', '65010', { type: 'uint' }),
  row('bgpSourceIf', 'sourceIF', '', 'bgp_sourceif', 'bgpConfig.sourceIF', 'eth0'),
  row('bgpSourceIp', 'sourceIP', '', 'bgp_sourceip', 'bgpConfig.sourceIP', '192.0.2.2'),
  row('bgpHoldTime', 'bgpHoldTimer', 30, 'bgp_hold_time', 'bgpConfig.holdTime', '9', { type: 'uint' }),
  row(
    'bgpKeepaliveInterval',
    'bgpKeepAliveInterval',
    10,
    'bgp_keepalive_interval',
    'bgpConfig.keepaliveInterval',
    '3',
    { type: 'uint' },
  ),
  row('bgpPeers', 'bgppeers', [], 'bgp_peers', 'bgpPeers bgpConfig.peers', '192.0.2.7:65001', {
    type: 'peers',
    value: [peer],
  }),
  row('bgpPeerAddress', 'peerAddress', '', 'bgp_peeraddress', 'bgpPeerConfig.address', '192.0.2.7'),
  row('bgpPeerAs', 'peerAS', 65000, 'bgp_peeras', 'bgpPeerConfig.as', '65001', { type: 'uint' }),
  row('bgpPeerPass', 'peerPass', '', 'bgp_peerpass', 'bgpPeerConfig.password', 'geheim'),
  row('bgpMultihop', 'multihop', false, 'bgp_multihop', 'bgpPeerConfig.multiHop', 'true'),
  row(
    'bgpAttachIpToInterface',
    'bgpAttachIPToInterface',
    false,
    'bgp_attach_ip_to_interface',
    'bgpAttachIPToInterface',
    'true',
  ),
  row('zebraEnabled', 'zebra', false, 'zebra_enable', 'bgpConfig.zebra.enabled', 'true'),
  row('zebraUrl', 'zebraUrl', 'unix:/var/run/frr/zserv.api', 'zebra_url', 'bgpConfig.zebra.url', 'unix:/z'),
  row('zebraVersion', 'zebraVersion', 6, 'zebra_version', 'bgpConfig.zebra.version', '5', { type: 'uint' }),
  row(
    'zebraSoftwareName',
    'zebraSoftwareName',
    'frr8.3',
    'zebra_software_name',
    'bgpConfig.zebra.softwareName',
    'frr9',
  ),
  row('mpbgpNexthop', '', '', 'mpbgp_nexthop', 'bgpConfig.mpbgpNexthop', 'fixed'),
  row('mpbgpIpv4', '', '', 'mpbgp_ipv4', 'bgpConfig.mpbgpIPv4', '192.0.2.3'),
  row('mpbgpIpv6', '', '', 'mpbgp_ipv6', 'bgpConfig.mpbgpIPv6', '2001:db8::3'),
  row('routingTableId', 'tableID', 198, 'vip_routingtableid', 'routingTableID', '100'),
  row('routingTableType', 'tableType', 1, 'vip_routingtabletype', 'routingTableType', '2'),
  row('routingProtocol', 'routingProtocol', 248, 'vip_routingprotocol', 'routingProtocol', '249'),
  row('cleanRoutingTable', 'cleanRoutingTable', false, 'vip_cleanroutingtable', 'cleanRoutingTable', 'true'),
  row(
    'enableServicesElection',
    'servicesElection',
    false,
    'svc_election',
    'enableServicesElection',
    'true',
    svc,
  ),
  row(
    'loadBalancerClassOnly',
    'lbClassOnly',
    false,
    'lb_class_only',
    'loadBalancerClassOnly lbClassOnly',
    'true',
    svc,
  ),
  row(
    'loadBalancerClassName',
    'lbClassName',
    'kube-vip.io/kube-vip-class',
    'lb_class_name',
    'loadBalancerClassName lbClassName',
    'x.io/y',
    svc,
  ),
  row(
    'loadBalancerClassLegacyHandling',
    'lbClassNameLegacyHandling',
    true,
    'lb_class_legacy_handling',
    'loadBalancerClassLegacyHandling lbClassNameLegacyHandling',
    'false',
    svc,
  ),
  row(
    'enableServiceSecurity',
    'onlyAllowTrafficServicePorts',
    false,
    'enable_service_security',
    'enableServiceSecurity',
    'true',
  ),
  row(
    'perServiceElectionOnDemand',
    'perServiceElectionOnDemand',
    false,
    'per_service_election_on_demand',
    'perServiceElectionOnDemand',
    'true',
  ),
  row(
    'disableServiceUpdates',
    'disableServiceUpdates',
    false,
    'disable_service_updates',
    'disableServiceUpdates',
    'true',
  ),
  row('enableEndpoints', 'enableEndpoints', false, 'enable_endpoints', 'enableEndpoints', 'true'),
  row(
    'mirrorDestInterface',
    'mirrorDestInterface',
    '',
    'mirror_dest_interface',
    'mirrorDestInterface',
    'eth9',
  ),
  row('debounceTime', 'debounceTime', 0, 'debounce_time', 'debounceTime', '1.5s', {
    type: 'duration',
    value: 1500,
  }),
  row('egressPodCidr', '', '', 'egress_podcidr', 'egressPodCidr', '10.0.0.0/16'),
  row('egressServiceCidr', '', '', 'egress_servicecidr', 'egressServiceCidr', '10.96.0.0/12'),
  row('enableInternalSnat', '', false, 'egress_enableinternalsnat', 'enableInternalSNAT', 'true'),
  row('egressClean', '', false, 'egress_clean EGRESS_CLEAN', 'egressClean', 'true'),
  row('enableUpnp', '', false, 'enable_upnp', 'enableUPNP', 'true'),
  row('singleNode', '', false, 'vip_singlenode', 'singleNode', 'true'),
  row('startAsLeader', '', false, 'vip_startleader', 'startAsLeader', 'true'),
  row('configMap', 'configMap', 'plndr', 'vip_configmap', '', 'other'),
];
