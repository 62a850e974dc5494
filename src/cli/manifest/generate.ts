import { stringify } from 'yaml';
import { type Config, type LoadedConfig } from '../../config/index.ts';
import { cloudController } from './cloud-controller.ts';
import { GeneratorError } from './errors.ts';
import { daemonSet, pod } from './pod.ts';
import { rbac } from './rbac.ts';

export type ManifestKind = 'pod' | 'daemonset' | 'rbac' | 'cloud-controller' | 'init' | 'join';

/** The generators' own flags, with their defaults. */
export interface GeneratorOptions {
  readonly inCluster: boolean;
  readonly image: string;
  readonly taint: boolean;
  readonly role: boolean;
  readonly roleBinding: boolean;
  /** kubeadm join: the kubeconfig that must exist. */
  readonly joinConfig: string;
  /** BGP peers as they were written in flags. */
  readonly peers: string | undefined;
}

/**
 * The text of a manifest.
 *
 * @throws GeneratorError when the settings are not enough for one.
 */
export function generate(
  kind: ManifestKind,
  { config, sources }: Pick<LoadedConfig, 'config' | 'sources'>,
  options: GeneratorOptions,
  fileExists: (path: string) => boolean,
): string {
  requireEnough(kind, config);
  if (kind === 'join' && !fileExists(options.joinConfig))
    throw new GeneratorError(`kubeConfig not found: ${options.joinConfig}; name it with --config`);
  switch (kind) {
    case 'pod':
      return `${yaml(pod(config, sources, options))}\n`;
    case 'init':
    case 'join':
      return `${yaml(pod(config, sources, { ...options, inCluster: false }))}\n`;
    case 'daemonset':
      return `${yaml(daemonSet(config, sources, options))}\n`;
    case 'rbac':
      return documents(rbac(config, options));
    case 'cloud-controller':
      return documents(cloudController(config, sources, options.image));
  }
}

function documents(all: readonly object[]): string {
  return all.map((document) => `---\n${yaml(document)}\n`).join('');
}

function requireEnough(kind: ManifestKind, config: Config): void {
  if (kind === 'cloud-controller') return;
  const hasAddress = config.address !== '' || config.vip !== '';
  if (kind === 'init' || kind === 'join') {
    if (config.interface === '')
      throw new GeneratorError('No interface is specified for kube-vip to bind to; use --interface');
    if (!hasAddress)
      throw new GeneratorError('No address is specified for kube-vip to expose services on; use --address');
  }
  if (config.enableControlPlane && !hasAddress && !config.ddns)
    throw new GeneratorError('no address is specified for kube-vip to expose services on; use --address');
}

/** As Kubernetes' own tools write YAML: keys in alphabetical order, and quotes where YAML 1.1 would see another type. */
function yaml(value: object): string {
  return stringify(value, {
    version: '1.1',
    sortMapEntries: true,
    indentSeq: false,
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
}
