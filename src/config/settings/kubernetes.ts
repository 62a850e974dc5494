import { bool, port, text } from '../setting.ts';

/** How the API server is reached, and the instance's place in the cluster. */
export const kubernetesSettings = {
  port: port(6443, {
    flag: 'port',
    env: 'port',
    key: 'port',
    feature: 'kubernetes',
    doc: 'Port of the API servers: for the client, the backends and their checks.',
  }),
  kubernetesAddr: text('', {
    flag: 'kubernetesAddr',
    env: 'kubernetes_addr',
    key: 'kubernetesAddr',
    feature: 'kubernetes',
    doc: 'API server to call instead of the one in the kubeconfig: host:port or a URL.',
  }),
  k8sConfigFile: text('/etc/kubernetes/admin.conf', {
    flag: 'k8sConfigPath',
    env: 'k8s_config_file',
    key: 'k8sConfigFile',
    feature: 'kubernetes',
    doc: 'The kubeconfig; in generated manifests the path on the host.',
  }),
  detectControlPlane: bool(false, {
    flag: 'autodetectcp',
    env: 'cp_detect',
    key: 'detectControlPlane',
    feature: 'kubernetes',
    doc: 'Look in the local API server’s certificate for an address at which it answers.',
  }),
  namespace: text('kube-system', {
    flag: 'namespace',
    short: 'n',
    env: 'cp_namespace',
    key: 'namespace',
    feature: 'kubernetes',
    doc: 'Namespace of the leases, unless the service account mount names one.',
  }),
  instanceName: text('', {
    flag: 'instanceName',
    env: ['instance_name', 'INSTANCE_NAME'],
    key: 'instanceName',
    feature: 'egress',
    doc: 'Name that keeps the nftables tables of several instances apart.',
  }),
  enableNodeLabeling: bool(false, {
    flag: 'enableNodeLabeling',
    env: 'enable_node_labeling',
    key: 'enableNodeLabeling',
    feature: 'kubernetes',
    doc: 'Label the Node that carries a VIP.',
  }),
} as const;
