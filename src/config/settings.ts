import type { Setting } from './setting.ts';
import { balancerSettings } from './settings/balancer.ts';
import { bgpSettings } from './settings/bgp.ts';
import { dnsSettings } from './settings/dns.ts';
import { electionSettings } from './settings/election.ts';
import { inertSettings } from './settings/inert.ts';
import { ipamSettings } from './settings/ipam.ts';
import { kubernetesSettings } from './settings/kubernetes.ts';
import { linkSettings } from './settings/link.ts';
import { modeSettings } from './settings/mode.ts';
import { observeSettings } from './settings/observe.ts';
import { routingSettings } from './settings/routing.ts';
import { servicesSettings } from './settings/services.ts';

/**
 * Every setting there is, once. To add one, write it into the table of its topic; flags, environment,
 * file, help text and the reference page follow.
 */
export const settings = {
  ...modeSettings,
  ...linkSettings,
  ...kubernetesSettings,
  ...electionSettings,
  ...observeSettings,
  ...balancerSettings,
  ...dnsSettings,
  ...bgpSettings,
  ...routingSettings,
  ...servicesSettings,
  ...ipamSettings,
  ...inertSettings,
} as const satisfies Readonly<Record<string, Setting<unknown>>>;

export type SettingName = keyof typeof settings;

type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** All settings with their values. */
export type Config = { readonly [K in SettingName]: ValueOf<(typeof settings)[K]> };

/** The table as a list, for code that treats all settings alike. */
export const settingList: readonly (readonly [SettingName, Setting<unknown>])[] = Object.entries(
  settings,
) as unknown as readonly (readonly [SettingName, Setting<unknown>])[];

/** What nobody has set. */
export const defaultConfig: Config = Object.fromEntries(
  settingList.map(([name, setting]) => [name, setting.default]),
) as unknown as Config;

/** The name a user knows a setting by: its environment variable, else flag, else file key. */
export function displayName(name: SettingName): string {
  const { env, flags, keys }: Setting<unknown> = settings[name];
  const flag = flags[0];
  return env[0] ?? (flag === undefined ? (keys[0] ?? name) : `--${flag}`);
}

/** The value as text, secrets hidden. */
export function displayValue<K extends SettingName>(name: K, value: Config[K]): string {
  const setting: Setting<unknown> = settings[name];
  const shown = setting.codec.format(value);
  return setting.secret && setting.codec.type === 'string' && shown !== '' ? '***' : shown;
}
