import { bool, text, type FlagTable } from '../config/index.ts';

/**
 * Flags of Kubernetes' cloud-controller-manager (k8s.io/cloud-provider/options, k8s.io/component-base), which
 * kube-vip-cloud-provider is, that mean nothing here: a Deployment that has them starts all the same. Not among them is
 * what must not be passed over: `--master`.
 */
const valued = [
  'allow-metric-labels',
  'allow-metric-labels-manifest',
  'authentication-kubeconfig',
  'authentication-token-webhook-cache-ttl',
  'authorization-always-allow-paths',
  'authorization-kubeconfig',
  'authorization-webhook-cache-authorized-ttl',
  'authorization-webhook-cache-unauthorized-ttl',
  'bind-address',
  'cert-dir',
  'cidr-allocator-type',
  'client-ca-file',
  'cloud-config',
  'cloud-provider',
  'cluster-cidr',
  'cluster-name',
  'concurrent-node-syncs',
  'concurrent-service-syncs',
  'controller-start-interval',
  'controllers',
  'disabled-metrics',
  'emulated-version',
  'external-cloud-volume-plugin',
  'feature-gates',
  'http2-max-streams-per-connection',
  'kube-api-burst',
  'kube-api-content-type',
  'kube-api-qps',
  'leader-elect-resource-lock',
  'leader-migration-config',
  'log-backtrace-at',
  'log-dir',
  'log-file',
  'log-file-max-size',
  'log-flush-frequency',
  'log-json-info-buffer-size',
  'log-text-info-buffer-size',
  'logging-format',
  'min-resync-period',
  'node-monitor-period',
  'node-status-update-frequency',
  'requestheader-allowed-names',
  'requestheader-client-ca-file',
  'requestheader-extra-headers-prefix',
  'requestheader-group-headers',
  'requestheader-uid-headers',
  'requestheader-username-headers',
  'route-reconciliation-period',
  'secure-port',
  'show-hidden-metrics-for-version',
  'stderrthreshold',
  'tls-cert-file',
  'tls-cipher-suites',
  'tls-min-version',
  'tls-private-key-file',
  'tls-sni-cert-key',
  'vmodule',
  'webhook-bind-address',
  'webhook-cert-dir',
  'webhook-secure-port',
  'webhooks',
];

const switches = [
  'add-dir-header',
  'allocate-node-cidrs',
  'allow-untagged-cloud',
  'alsologtostderr',
  'authentication-skip-lookup',
  'authentication-tolerate-lookup-failure',
  'configure-cloud-routes',
  'contention-profiling',
  'disable-http2-serving',
  'enable-leader-migration',
  'log-json-split-stream',
  'log-text-split-stream',
  'logtostderr',
  'one-output',
  'permit-address-sharing',
  'permit-port-sharing',
  'profiling',
  'skip-headers',
  'skip-log-headers',
  'use-service-account-credentials',
];

const note = { feature: 'ipam', doc: 'Means nothing here.' } as const;

/** Names of settings that no table has, so that one is known again among those of a command line. */
const prefix = 'foreign ';

export const foreignFlags: FlagTable = [
  [`${prefix}v`, text('', { ...note, flag: 'v', short: 'v' })],
  ...valued.map((flag) => [prefix + flag, text('', { ...note, flag: spellings(flag) })] as const),
  ...switches.map((flag) => [prefix + flag, bool(false, { ...note, flag: spellings(flag) })] as const),
];

/** Kubernetes' programs take underscores for hyphens. */
function spellings(flag: string): readonly string[] {
  return flag.includes('-') ? [flag, flag.replaceAll('-', '_')] : [flag];
}

/** One line about all of them that were given; undefined: none was. */
export function foreignWarning(settings: Iterable<string>): string | undefined {
  const given = [...settings].filter((name) => name.startsWith(prefix));
  if (given.length === 0) return undefined;
  const flags = given.map((name) => `--${name.slice(prefix.length)}`).sort();
  return `these flags of the cloud-controller-manager mean nothing here: ${flags.join(', ')}`;
}
