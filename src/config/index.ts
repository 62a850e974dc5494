export { buildInfo } from './build-info.ts';
export { effectiveSettings, type EffectiveSetting } from './effective.ts';
export { ConfigError, UsageError } from './errors.ts';
export { scanFlags, type FlagScan, type FlagTable } from './flags.ts';
export { checkInterface, defaultRouteLink, type LinkVerdict } from './links.ts';
export {
  loadForController,
  loadForManifest,
  loadFromFlags,
  type LoadedConfig,
  type Surroundings,
} from './load.ts';
export { allPeers, peerText, type PeerSetting } from './peers.ts';
export { flagProblems, flagValue, type Env, type Sources } from './read.ts';
export { bool, duration, features, text, type Feature, type Setting } from './setting.ts';
export {
  defaultConfig,
  displayValue,
  settingList,
  settings,
  type Config,
  type SettingName,
} from './settings.ts';
export { didYouMean } from './suggest.ts';
export { unimplemented } from './unimplemented.ts';
export { controlPlaneNames, controlPlanePrefixLength, controlPlaneVips } from './validate.ts';
export { servicePrefixes, type Vip } from './vips.ts';
