import {
  boolCodec,
  choiceCodec,
  durationCodec,
  intCodec,
  listCodec,
  stringCodec,
  stringMapCodec,
  urlCodec,
  type Codec,
  type IntRange,
  type StringMap,
} from './codecs.ts';

/** The part of the program that reads a setting, and the heading of its group in help and documents. */
export const features = {
  mode: 'Mode and features',
  link: 'Link and VIPs',
  'control-plane': 'Control-plane VIP',
  kubernetes: 'Kubernetes',
  election: 'Election',
  health: 'Health check',
  observe: 'Logs, metrics, files',
  balancer: 'Control-plane load balancing',
  dns: 'DNS and DHCP',
  bgp: 'BGP',
  'routing-table': 'Routing table',
  services: 'Services',
  ipam: 'Addresses for Services',
  egress: 'Egress',
} as const;

export type Feature = keyof typeof features;

/** One setting, declared once. Everything that reads, checks, prints or documents settings works on this. */
export interface Setting<T> {
  readonly codec: Codec<T>;
  readonly default: T;
  /** Names without dashes; the first is the documented one. */
  readonly flags: readonly string[];
  /** One letter. */
  readonly short: string | undefined;
  /** In order of precedence. */
  readonly env: readonly string[];
  /** Dotted paths in the config file, matched without regard to case; the first is the documented one. */
  readonly keys: readonly string[];
  readonly doc: string;
  readonly feature: Feature;
  /** Accepted for compatibility; nothing reads it. */
  readonly inert: boolean;
  /** Never printed. */
  readonly secret: boolean;
  /** Its environment variables count only when `svc_enable` is in the environment and not empty. */
  readonly servicesEnv: boolean;
  /** An environment variable set to the empty string counts. */
  readonly emptyEnv: boolean;
  /** What is not built yet; the setting is refused at start when `wants` says that it asks for it. */
  readonly unbuilt: string | undefined;
  wants(value: T): boolean;
}

export interface SettingSpec<T> {
  readonly flag?: string | readonly string[];
  readonly short?: string;
  readonly env?: string | readonly string[];
  /** Absent: the file has no such key. */
  readonly key?: string | readonly string[];
  readonly doc: string;
  readonly feature: Feature;
  readonly inert?: boolean;
  readonly secret?: boolean;
  readonly servicesEnv?: boolean;
  readonly emptyEnv?: boolean;
  readonly unbuilt?: string;
  readonly wants?: (value: T) => boolean;
}

/** Declares a setting of any type; the functions below are for the common ones. */
export function setting<T>(codec: Codec<T>, fallback: T, spec: SettingSpec<T>): Setting<T> {
  return {
    codec,
    default: fallback,
    flags: many(spec.flag),
    short: spec.short,
    env: many(spec.env),
    keys: many(spec.key),
    doc: spec.doc,
    feature: spec.feature,
    inert: spec.inert ?? false,
    secret: spec.secret ?? false,
    servicesEnv: spec.servicesEnv ?? false,
    emptyEnv: spec.emptyEnv ?? false,
    unbuilt: spec.unbuilt,
    wants: spec.wants ?? ((value) => codec.format(value) !== codec.format(fallback)),
  };
}

function many(names: string | readonly string[] | undefined): readonly string[] {
  if (names === undefined) return [];
  return typeof names === 'string' ? [names] : names;
}

export function bool(fallback: boolean, spec: SettingSpec<boolean>): Setting<boolean> {
  return setting(boolCodec, fallback, spec);
}

export function text(fallback: string, spec: SettingSpec<string>): Setting<string> {
  return setting(stringCodec, fallback, spec);
}

/** Node's timers hold 2^31 milliseconds; no time in seconds may come near. */
export const maxSeconds = 1_000_000;

const int32: IntRange = { min: -2_147_483_648, max: 2_147_483_647 };

/** A signed number, by default of 32 bits. */
export function int(fallback: number, spec: SettingSpec<number> & Partial<IntRange>): Setting<number> {
  return setting(intCodec('int', { ...int32, ...range(spec) }), fallback, spec);
}

/** An unsigned number of 32 bits unless the range says otherwise. */
export function uint(fallback: number, spec: SettingSpec<number> & Partial<IntRange>): Setting<number> {
  const limits = { min: 0, max: 4_294_967_295, ...range(spec), unsigned: true };
  return setting(intCodec(limits.max === 65_535 ? 'uint16' : 'uint', limits), fallback, spec);
}

function range(spec: Partial<IntRange>): Partial<IntRange> {
  return {
    ...(spec.min === undefined ? {} : { min: spec.min }),
    ...(spec.max === undefined ? {} : { max: spec.max }),
  };
}

/** A TCP port in use: 0 is refused. */
export function port(fallback: number, spec: SettingSpec<number>): Setting<number> {
  return uint(fallback, { ...spec, min: 1, max: 65_535 });
}

/** Strict: an unknown word is an error. */
export function choice<const T extends string>(
  words: readonly T[],
  fallback: T,
  spec: SettingSpec<T>,
  aliases?: Readonly<Record<string, T>>,
): Setting<T> {
  return setting(choiceCodec(words, undefined, aliases), fallback, spec);
}

/** Lenient, where existing manifests rely on it: an unknown word means the default, with a warning. */
export function lenientChoice<const T extends string>(
  words: readonly T[],
  fallback: T,
  spec: SettingSpec<T>,
): Setting<T> {
  return setting(choiceCodec(words, fallback), fallback, spec);
}

export function list(spec: SettingSpec<readonly string[]>): Setting<readonly string[]> {
  return setting(listCodec, [], spec);
}

export function duration(fallbackMs: number, spec: SettingSpec<number>): Setting<number> {
  return setting(durationCodec, fallbackMs, spec);
}

export function url(spec: SettingSpec<string>): Setting<string> {
  return setting(urlCodec, '', spec);
}

export function stringMap(spec: SettingSpec<StringMap>): Setting<StringMap> {
  return setting(stringMapCodec, {}, spec);
}
