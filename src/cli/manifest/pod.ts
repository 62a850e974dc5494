import { buildInfo, type Config, type Sources } from '../../config/index.ts';
import { containerSettings } from './env.ts';
import { imageWithTag } from './image.ts';

export interface PodOptions {
  readonly image: string;
  /** Use the service account instead of a kubeconfig on the host. */
  readonly inCluster: boolean;
  /** BGP peers as they were written in flags. */
  readonly peers: string | undefined;
}

/** Where the container finds the kubeconfig, wherever it is on the host. */
const kubeconfigMount = '/etc/kubernetes/admin.conf';

/** The namespace that manifests go to: that of the Services, else the system's. */
export function manifestNamespace(config: Config): string {
  return config.serviceNamespace === '' ? 'kube-system' : config.serviceNamespace;
}

/** A static Pod, or any single one. The empty parts are there because kube-vip writes them. */
export function pod(config: Config, sources: Sources, options: PodOptions): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'kube-vip', namespace: manifestNamespace(config) },
    spec: podSpec(config, sources, options),
    status: {},
  };
}

const name = { 'app.kubernetes.io/name': 'kube-vip-ds' };

/** `taint`: on control-plane nodes only, and there in spite of any taint. */
export function daemonSet(
  config: Config,
  sources: Sources,
  options: PodOptions & { readonly taint: boolean },
): object {
  const labels = { ...name, 'app.kubernetes.io/version': buildInfo.version };
  const spec = podSpec(config, sources, options);
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'kube-vip-ds', namespace: manifestNamespace(config), labels },
    spec: {
      // Selectors are immutable: only what never changes.
      selector: { matchLabels: name },
      template: { metadata: { labels }, spec: options.taint ? { ...spec, ...onControlPlane } : spec },
      updateStrategy: {},
    },
  };
}

const onControlPlane = {
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: ['master', 'control-plane'].map((role) => ({
          matchExpressions: [{ key: `node-role.kubernetes.io/${role}`, operator: 'Exists' }],
        })),
      },
    },
  },
  tolerations: ['NoSchedule', 'NoExecute'].map((effect) => ({ effect, operator: 'Exists' })),
};

function podSpec(config: Config, sources: Sources, { image, inCluster, peers }: PodOptions): object {
  const { env, args } = containerSettings(config, sources, peers);
  const mounts = { volumeMounts: [{ mountPath: kubeconfigMount, name: 'kubeconfig' }] };
  const container = {
    name: 'kube-vip',
    image: imageWithTag(image),
    imagePullPolicy: 'IfNotPresent',
    args: ['manager', ...args],
    env,
    resources: {},
    securityContext: securityContext(config),
    ...(inCluster ? {} : mounts),
  };
  const common = { containers: [container], hostNetwork: true };
  if (inCluster) return { ...common, serviceAccountName: 'kube-vip' };
  return {
    ...common,
    // The API server's certificate names "kubernetes"; the local one is meant.
    hostAliases: [{ hostnames: ['kubernetes'], ip: '127.0.0.1' }],
    volumes: [{ name: 'kubeconfig', hostPath: { path: config.k8sConfigFile } }],
  };
}

/** Masquerading writes to /proc/sys, which is read-only in a container that is not privileged. */
function securityContext(config: Config): object {
  return config.loadBalancerForwardingMethod === 'masquerade'
    ? { privileged: true }
    : { capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] } };
}
