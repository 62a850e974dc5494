import { bool, flagValue, text, type FlagScan } from '../../config/index.ts';
import type { GeneratorOptions } from './generate.ts';
import { defaultImage } from './image.ts';

const feature = 'kubernetes';

/** The generators' own flags, declared like settings. */
export const generatorSettings = {
  inCluster: bool(false, {
    flag: 'inCluster',
    feature,
    doc: 'Use the service account instead of a kubeconfig on the host.',
  }),
  image: text(defaultImage, {
    flag: 'image',
    feature,
    doc: 'Container image; without a tag this version is added.',
  }),
  taint: bool(false, {
    flag: 'taint',
    feature,
    doc: 'Run on control-plane nodes only, and there in spite of any taint.',
  }),
  role: bool(false, { flag: 'role', feature, doc: 'Write a Role instead of a ClusterRole.' }),
  rolebinding: bool(false, {
    flag: 'rolebinding',
    feature,
    doc: 'Write a RoleBinding instead of a ClusterRoleBinding.',
  }),
  config: text('/etc/kubernetes/admin.conf', {
    flag: 'config',
    feature,
    doc: 'The kubeconfig, which must exist.',
  }),
} as const;

export type GeneratorSetting = keyof typeof generatorSettings;

export function generatorOptions(flags: FlagScan): GeneratorOptions {
  const own = generatorSettings;
  return {
    inCluster: flagValue(flags, 'inCluster', own.inCluster),
    image: flagValue(flags, 'image', own.image),
    taint: flagValue(flags, 'taint', own.taint),
    role: flagValue(flags, 'role', own.role),
    roleBinding: flagValue(flags, 'rolebinding', own.rolebinding),
    joinConfig: flagValue(flags, 'config', own.config),
    peers: flags.uses.get('bgpPeers')?.texts.join(','),
  };
}
