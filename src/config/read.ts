import { failed, type Parsed, type TextOrigin } from './codecs.ts';
import type { ConfigProblem } from './errors.ts';
import { readConfigFile, type FileResult, type FileValue } from './file.ts';
import type { FlagScan, FlagTable, FlagUse } from './flags.ts';
import type { Setting } from './setting.ts';
import { defaultConfig, displayName, settingList, type Config, type SettingName } from './settings.ts';
import { sourceText, type Source } from './sources.ts';
import { strangers } from './strangers.ts';
import { messageOf } from '../lib/errors.ts';

export type Env = Readonly<Record<string, string | undefined>>;
export type Sources = Readonly<Record<SettingName, Source>>;

export interface ReadInput {
  readonly flags: FlagScan;
  readonly env: Env;
  /** Content of a config file; throws when it cannot be read. */
  readonly readFile: (path: string) => string;
}

/** Settings as given, typed but not yet checked against each other. */
export interface ReadSettings {
  readonly config: Config;
  readonly sources: Sources;
  readonly warnings: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

interface Given {
  readonly source: Source;
  readonly parsed: Parsed<unknown>;
  /** What was written, for messages. */
  readonly written: string;
}

/** Reads all settings: environment over flags that were given over file over defaults. */
export function readSettings(input: ReadInput): ReadSettings {
  const problems: ConfigProblem[] = [];
  const warnings: string[] = [];
  const file = readFileOf(input, problems, warnings);
  const values: Record<string, unknown> = { ...defaultConfig };
  const sources: Record<string, Source> = {};
  for (const [name, setting] of settingList) {
    sources[name] = { kind: 'default' };
    const flag = fromFlag(setting, input.flags.uses.get(name));
    const given = fromEnv(setting, input.env) ?? flag ?? fromFile(setting, name, file);
    if (given === undefined) continue;
    // A flag that cannot be read is an error whatever counts in its place, as for every program with flags.
    if (flag !== undefined && flag !== given) problems.push(...problemsOf(name, setting, flag));
    sources[name] = given.source;
    const { parsed } = given;
    problems.push(...problemsOf(name, setting, given));
    if ('problem' in parsed) continue;
    values[name] = parsed.value;
    if (parsed.warning !== undefined)
      warnings.push(`${sourceText(given.source)}=${JSON.stringify(shown(setting, given))} ${parsed.warning}`);
  }
  // Every key was filled from its own codec, which is what the two types say.
  const config = values as unknown as Config;
  warnings.push(...passedOver(config, input.env), ...strangers(input.env));
  return { config, sources: sources as unknown as Sources, warnings, problems };
}

function problemsOf(name: SettingName, setting: Setting<unknown>, given: Given): readonly ConfigProblem[] {
  const { parsed, source } = given;
  if (!('problem' in parsed)) return [];
  const { problem, remedy } = parsed;
  const value = shown(setting, given);
  return [{ setting: displayName(name), source: sourceText(source), value, problem, remedy }];
}

function shown(setting: Setting<unknown>, { written }: Given): string {
  return setting.secret ? '***' : written;
}

/** Variables that count beside `svc_enable` alone, where Services are enabled by something else. */
function passedOver({ enableServices }: Config, env: Env): readonly string[] {
  if (!enableServices || (env['svc_enable'] ?? '') !== '') return [];
  return settingList
    .filter(([, { servicesEnv }]) => servicesEnv)
    .flatMap(([, setting]) => setting.env.filter((name) => (env[name] ?? '') !== ''))
    .map(
      (name) => `env ${name} is ignored: it counts only beside svc_enable in the environment; set that, too`,
    );
}

function fromEnv(setting: Setting<unknown>, env: Env): Given | undefined {
  if (setting.servicesEnv && (env['svc_enable'] ?? '') === '') return undefined;
  const name = setting.env.find((candidate) => {
    const text = env[candidate];
    return text !== undefined && (text !== '' || setting.emptyEnv);
  });
  const written = name === undefined ? undefined : env[name];
  if (name === undefined || written === undefined) return undefined;
  return { source: { kind: 'env', name }, parsed: setting.codec.parse(written, 'env'), written };
}

function fromFlag(setting: Setting<unknown>, use: FlagUse | undefined): Given | undefined {
  if (use === undefined) return undefined;
  return { source: { kind: 'flag', name: use.flag }, ...parseFlagUse(setting, use) };
}

/** The value of a flag that may have been given several times. */
function parseFlagUse(
  setting: Setting<unknown>,
  use: FlagUse,
): { readonly parsed: Parsed<unknown>; readonly written: string } {
  const { codec } = setting;
  const last = use.texts.at(-1) ?? '';
  if (codec.join === undefined) return { parsed: codec.parse(last, 'flag'), written: last };
  const values: unknown[] = [];
  for (const text of use.texts) {
    const parsed = codec.parse(text, 'flag');
    if ('problem' in parsed) return { parsed, written: text };
    values.push(parsed.value);
  }
  return { parsed: { value: codec.join(values) }, written: use.texts.join(',') };
}

/** The value of a flag that only one command has; the default when it was not given or cannot be read. */
export function flagValue<T>(scan: FlagScan, name: string, setting: Setting<T>): T {
  const text = scan.uses.get(name)?.texts.at(-1);
  if (text === undefined) return setting.default;
  const parsed = setting.codec.parse(text, 'flag');
  return 'problem' in parsed ? setting.default : parsed.value;
}

/** What is wrong with the values of the flags that were given, for commands that read no settings. */
export function flagProblems(scan: FlagScan, table: FlagTable): readonly ConfigProblem[] {
  return table.flatMap(([name, setting]) => {
    const use = scan.uses.get(name);
    if (use === undefined) return [];
    const { parsed, written } = parseFlagUse(setting, use);
    if (!('problem' in parsed)) return [];
    const { problem, remedy } = parsed;
    const value = setting.secret ? '***' : written;
    return [{ setting: use.flag, source: `flag ${use.flag}`, value, problem, remedy }];
  });
}

interface LoadedFile {
  readonly path: string;
  readonly values: ReadonlyMap<SettingName, FileValue>;
}

function fromFile(
  setting: Setting<unknown>,
  name: SettingName,
  file: LoadedFile | undefined,
): Given | undefined {
  const given = file?.values.get(name);
  if (file === undefined || given === undefined) return undefined;
  const source: Source = { kind: 'file', path: file.path, key: given.key };
  return { source, ...parseFileValue(setting, given.value) };
}

function parseFileValue(
  setting: Setting<unknown>,
  value: unknown,
): { readonly parsed: Parsed<unknown>; readonly written: string } {
  const { codec } = setting;
  const origin: TextOrigin = 'file';
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    const written = String(value);
    return { parsed: codec.parse(written, origin), written };
  }
  const kind = Array.isArray(value) ? 'a list' : 'an object';
  const parsed = codec.fromFile?.(value) ?? failed(`is ${kind}`, `write a value of type ${codec.type}`);
  return { parsed, written: '' };
}

function readFileOf(input: ReadInput, problems: ConfigProblem[], warnings: string[]): LoadedFile | undefined {
  const named = fileName(input);
  if (named === undefined) return undefined;
  const { path, flagOrEnv, source } = named;
  const result = openFile(path, input.readFile);
  if ('problem' in result) {
    problems.push({
      setting: flagOrEnv,
      source,
      value: path,
      problem: result.problem,
      remedy: result.remedy,
    });
    return undefined;
  }
  warnings.push(...result.warnings);
  return { path, values: result.values };
}

function fileName(
  input: ReadInput,
): { readonly path: string; readonly flagOrEnv: string; readonly source: string } | undefined {
  const fromEnvironment = input.env['config_file'] ?? '';
  if (fromEnvironment !== '')
    return { path: fromEnvironment, flagOrEnv: 'config_file', source: 'env config_file' };
  const path = input.flags.uses.get('configFile')?.texts.at(-1);
  return path === undefined ? undefined : { path, flagOrEnv: '--config-file', source: 'flag --config-file' };
}

function openFile(path: string, readFile: ReadInput['readFile']): FileResult {
  if (path === '') return failed('config file path is empty', 'name a .json, .yaml or .yml file');
  let content: string;
  try {
    content = readFile(path);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const problem = missing ? `config file does not exist: ${path}` : `cannot read: ${messageOf(error)}`;
    return failed(problem, 'check the path and its permissions');
  }
  return readConfigFile(path, content);
}
