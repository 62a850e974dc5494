import type { Sources } from './read.ts';
import { displayName, displayValue, settingList, type Config } from './settings.ts';
import { sourceText } from './sources.ts';

export interface EffectiveSetting {
  /** The name a user knows it by. */
  readonly setting: string;
  /** Secrets hidden. */
  readonly value: string;
  /** `default`, `env vip_arp`, `flag --arp`, `file kube-vip.yaml key enableARP`, `from the host name`. */
  readonly source: string;
}

/** Every setting that has an effect, with its value and where that came from, for people to read. */
export function effectiveSettings(config: Config, sources: Sources): readonly EffectiveSetting[] {
  return settingList
    .filter(([, setting]) => !setting.inert)
    .map(([name]) => ({
      setting: displayName(name),
      value: displayValue(name, config[name]),
      source: sourceText(sources[name]),
    }));
}
