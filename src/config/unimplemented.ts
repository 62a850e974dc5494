import type { Sources } from './read.ts';
import type { Feature } from './setting.ts';
import { displayName, displayValue, settingList, type Config } from './settings.ts';

/**
 * What a configuration asks for that is not built yet, as lines for the user. Settings that only refine
 * such a feature are not listed: without it they mean nothing, as in kube-vip. Nor those of a part that is off: a
 * manifest may carry them along.
 */
export function unimplemented(config: Config, sources: Sources): readonly string[] {
  return settingList.flatMap(([name, setting]) => {
    const value = config[name];
    if (setting.unbuilt === undefined || !setting.wants(value) || isOff(setting.feature, config)) return [];
    const source = sources[name];
    const asked = source.kind === 'env' || source.kind === 'flag' ? source.name : displayName(name);
    return [`not implemented yet: ${asked}=${displayValue(name, value)} (${setting.unbuilt})`];
  });
}

function isOff(feature: Feature, { enableServices, enableBgp }: Config): boolean {
  return feature === 'bgp' ? !enableBgp : (feature === 'services' || feature === 'egress') && !enableServices;
}
