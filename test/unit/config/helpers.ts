import assert from 'node:assert/strict';
import { scanFlags } from '../../../src/config/flags.ts';
import {
  ConfigError,
  loadFromFlags,
  settingList,
  type LoadedConfig,
  type Surroundings,
} from '../../../src/config/index.ts';
import { readSettings, type ReadSettings } from '../../../src/config/read.ts';

export interface Given {
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Content of files by path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly hostname?: string;
}

function reader(files: Readonly<Record<string, string>>): (path: string) => string {
  return (path) => {
    const content = files[path];
    if (content === undefined)
      throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { code: 'ENOENT' });
    return content;
  };
}

/** Reads settings without rules between them. */
export function read({ argv = [], env = {}, files = {} }: Given): ReadSettings {
  return readSettings({ flags: scanFlags(argv, settingList), env, readFile: reader(files) });
}

/** The whole way, as the daemon takes it; `argv` without the command. */
export function loadConfig(input: Surroundings & { readonly argv: readonly string[] }): LoadedConfig {
  return loadFromFlags(scanFlags(input.argv, settingList), input);
}

/** The same with what most tests leave out. */
export function load({ argv = [], env = {}, files = {}, hostname = 'Host-1' }: Given): LoadedConfig {
  return loadConfig({ argv, env, readFile: reader(files), hostname });
}

/** The least that passes all rules, by environment. */
export const working = {
  vip_arp: 'true',
  cp_enable: 'true',
  address: '192.0.2.10',
  vip_nodename: 'node-1',
} as const;

/** The text of the ConfigError that loading must end with. */
export function refusal(given: Given): string {
  try {
    load(given);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `expected a ConfigError, got ${String(error)}`);
    assert.equal(error.code, 'CONFIG');
    return error.message;
  }
  assert.fail('expected a ConfigError, but the configuration was accepted');
}
