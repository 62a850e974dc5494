import { ConfigError, UsageError } from './errors.ts';
import type { FlagScan } from './flags.ts';
import { normalize } from './normalize.ts';
import { readSettings, type Env, type Sources } from './read.ts';
import type { Config } from './settings.ts';
import { validate, type Purpose } from './validate.ts';

export interface Surroundings {
  readonly env: Env;
  /** Content of a config file; throws when it cannot be read. */
  readonly readFile: (path: string) => string;
  readonly hostname: string;
}

/** A checked configuration, ready to run with. */
export interface LoadedConfig {
  readonly config: Config;
  readonly sources: Sources;
  /** Sentences to log once at start. */
  readonly warnings: readonly string[];
}

/**
 * Reads and checks the whole configuration; words on the command line are ignored with a warning. Throws UsageError
 * for flags that do not exist and ConfigError, with every problem found, for settings that cannot be used.
 */
export function loadFromFlags(flags: FlagScan, surroundings: Surroundings): LoadedConfig {
  const loaded = check(flags, surroundings, surroundings.hostname, 'daemon');
  return { ...loaded, warnings: [...loaded.warnings, ...flags.words.map(surplus)] };
}

/** The same for the address controller, which has no VIPs and needs no mode. */
export function loadForController(flags: FlagScan, surroundings: Surroundings): LoadedConfig {
  const loaded = check(flags, surroundings, surroundings.hostname, 'manifest');
  return { ...loaded, warnings: [...loaded.warnings, ...flags.words.map(surplus)] };
}

/** The same for settings that will travel to the daemon in a manifest: they need not be complete. */
export function loadForManifest(flags: FlagScan, surroundings: Surroundings): LoadedConfig {
  return check(flags, surroundings, undefined, 'manifest');
}

function check(
  flags: FlagScan,
  { env, readFile }: Surroundings,
  hostname: string | undefined,
  purpose: Purpose,
): LoadedConfig {
  if (flags.problems.length > 0) throw new UsageError(flags.problems.join('\n'));
  const read = readSettings({ flags, env, readFile });
  if (read.problems.length > 0) throw new ConfigError(read.problems, read.warnings, read.config);
  const normalized = normalize(read, hostname);
  const problems = validate(normalized.config, normalized.sources, purpose);
  if (problems.length > 0) throw new ConfigError(problems, normalized.warnings, normalized.config);
  return normalized;
}

function surplus(word: string): string {
  const hint =
    word === 'true' || word === 'false' ? `; a boolean flag takes its value with =, as in --arp=${word}` : '';
  return `surplus argument ${JSON.stringify(word)} is ignored${hint}`;
}
