import { bool, text, type SettingSpec } from '../setting.ts';

function inert(doc: string, names: Pick<SettingSpec<never>, 'flag' | 'short' | 'env' | 'key'>) {
  return { ...names, doc, feature: 'observe', inert: true } as const;
}

/** Accepted so that existing manifests and files keep working. Nothing reads them. */
export const inertSettings = {
  singleNode: bool(false, inert('Has no effect.', { env: 'vip_singlenode', key: 'singleNode' })),
  startAsLeader: bool(false, inert('Has no effect.', { env: 'vip_startleader', key: 'startAsLeader' })),
  configMap: text('plndr', inert('Has no effect.', { flag: 'configMap', short: 'c', env: 'vip_configmap' })),
  iptablesBackend: text('', inert('Has no effect.', { env: 'iptables_backend', key: 'iptablesBackend' })),
  addPeersAsBackends: bool(false, inert('Has no effect.', { key: 'addPeersAsBackends' })),
} as const;
