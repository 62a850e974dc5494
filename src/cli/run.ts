import {
  buildInfo,
  ConfigError,
  didYouMean,
  effectiveSettings,
  flagProblems,
  loadForController,
  loadForManifest,
  loadFromFlags,
  scanFlags,
  settingList,
  unimplemented,
  UsageError,
  type Config,
  type FlagScan,
  type FlagTable,
  type LoadedConfig,
} from '../config/index.ts';
import { KubeVipError, messageOf } from '../lib/errors.ts';
import { allCommandFlags, findCommand, type Command } from './commands.ts';
import { completionScript } from './completion.ts';
import { controllerOptions } from './controller-flags.ts';
import { foreignFlags, foreignWarning } from './foreign-flags.ts';
import { helpText, usageText } from './help.ts';
import type { Io } from './io.ts';
import { generatorOptions } from './manifest/flags.ts';
import { generate, type ManifestKind } from './manifest/generate.ts';
import { imageWarning } from './manifest/image.ts';

/**
 * Runs one command line and resolves with its exit status. What was asked for goes to stdout;
 * whatever goes wrong goes to stderr, leaves stdout empty and gives status 1.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const { words } = scanFlags(argv, [...settingList, ...allCommandFlags(), ...foreignFlags]);
  const path = findCommand(words);
  const command = path.at(-1) ?? path[0];
  if (!runsOn(command)) io.endableAtOnce();
  const foreign = command.action === 'cloudController' ? foreignFlags : [];
  const table = [...settingList, ...command.flags, ...foreign];
  const scan = scanFlags(argv, table);
  const flags = { ...scan, words: scan.words.slice(path.length - 1) };
  try {
    if (flags.problems.length > 0) throw new UsageError(flags.problems.join('\n'));
    if (flags.help) return printHelp(path, io);
    if (!readsSettings(command)) refuseBadValues(flags, table);
    const status = await act(command, path, flags, io);
    return runsOn(command) ? status : await afterOutput(status, io);
  } catch (error) {
    if (error instanceof ConfigError) printWarnings(error.warnings, io);
    io.err(errorText(error));
    if (error instanceof UsageError)
      io.err(`\n${usageText(path)}\n\n"${path.map(({ name }) => name).join(' ')} --help" lists all flags.\n`);
    return 1;
  }
}

/** Its output is the log of a service, which nobody waits for. */
function runsOn({ action }: Command): boolean {
  return action === 'manager' || action === 'service' || action === 'cloudController';
}

/** A manifest that is cut off must not look like a success; nor be cut off because the process ended too soon. */
async function afterOutput(status: number, io: Io): Promise<number> {
  const error = await io.written();
  if (error === undefined) return status;
  io.err(`Error: the output cannot be written: ${error.message}\n`);
  return 1;
}

/** Commands that load the whole configuration, which reports bad flags with everything else. */
function readsSettings({ action }: Command): boolean {
  return action === 'manager' || action === 'service' || action === 'config';
}

function refuseBadValues(flags: FlagScan, table: FlagTable): void {
  const problems = flagProblems(flags, table);
  if (problems.length > 0) throw new ConfigError(problems);
}

async function act(
  command: Command,
  path: readonly [Command, ...Command[]],
  flags: FlagScan,
  io: Io,
): Promise<number> {
  switch (command.action) {
    case 'manager':
      return io.runManager(await loadForDaemon(flags, io));
    case 'service': {
      const loaded = await loadForDaemon(flags, io);
      return io.runManager({ ...loaded, config: { ...loaded.config, prometheusHttpServer: '' } });
    }
    case 'cloudController': {
      const options = controllerOptions(flags, io);
      const loaded = refuseUnbuilt(loadForController(flags, io));
      const foreign = foreignWarning(flags.uses.keys());
      const warnings = foreign === undefined ? loaded.warnings : [...loaded.warnings, foreign];
      return io.runCloudController({ ...loaded, warnings }, options);
    }
    case 'config':
      return printConfig(refuseUnbuilt(loadFromFlags(flags, io)), io);
    case 'version':
      io.out(`kube-vip\nVersion:  ${buildInfo.version}\nBuild:    ${buildInfo.build}\n`);
      return 0;
    case 'completion':
      io.out(completionScript(command.name));
      return 0;
    case 'pod':
    case 'daemonset':
    case 'rbac':
    case 'cloud-controller':
    case 'init':
    case 'join':
      return writeManifest(command.action, flags, io);
    case 'helpOf':
      return helpOf(flags.words, io);
    case 'sample':
      return printHelp(path, io);
    case 'help':
      refuseWord(path, flags.words[0]);
      return printHelp(path, io);
  }
}

function helpOf(words: readonly string[], io: Io): number {
  const path = findCommand(words);
  refuseWord(path, words[path.length - 1]);
  return printHelp(path, io);
}

/** A word where a sub-command was expected. */
function refuseWord(path: readonly Command[], word: string | undefined): void {
  if (word === undefined) return;
  const known = path.at(-1)?.children.map(({ name }) => name) ?? [];
  const where = path.map(({ name }) => name).join(' ');
  throw new UsageError(`unknown command ${JSON.stringify(word)} for "${where}"${didYouMean(word, known)}`);
}

/** Warnings go to stderr, so that stdout holds settings only. */
function printConfig({ config, sources, warnings }: LoadedConfig, io: Io): number {
  printWarnings(warnings, io);
  const chosen = effectiveSettings(config, sources).filter(({ source }) => source !== 'default');
  const width = Math.max(...chosen.map(({ setting, value }) => setting.length + value.length + 1));
  for (const { setting, value, source } of chosen)
    io.out(`${`${setting}=${value}`.padEnd(width)}  # ${source}\n`);
  return 0;
}

function printHelp(path: readonly Command[], io: Io): number {
  io.out(helpText(path));
  return 0;
}

/** Stdout holds the manifest and nothing else; what the daemon would refuse is said on stderr. */
function writeManifest(kind: ManifestKind, flags: FlagScan, io: Io): number {
  const loaded = loadForManifest(flags, io);
  const options = generatorOptions(flags);
  const text = generate(kind, loaded, options, (path) => io.fileExists(path));
  printWarnings([...loaded.warnings, ...unimplemented(loaded.config, loaded.sources)], io);
  const aboutImage = kind === 'rbac' ? undefined : imageWarning(options.image);
  if (aboutImage !== undefined) printWarnings([aboutImage], io);
  io.out(text);
  return 0;
}

function printWarnings(warnings: readonly string[], io: Io): void {
  for (const warning of warnings) io.err(`Warning: ${warning}\n`);
}

/** Something that this program will do one day; it never pretends. */
class NotBuiltError extends KubeVipError {
  readonly code = 'NOT_BUILT';
}

function refuseUnbuilt(loaded: LoadedConfig): LoadedConfig {
  const lines = unimplemented(loaded.config, loaded.sources);
  if (lines.length > 0) throw new NotBuiltError(lines.join('\n'));
  return loaded;
}

/** Refused settings end a start like anything else that is wrong, so nothing of a crashed predecessor may stay behind. */
async function loadForDaemon(flags: FlagScan, io: Io): Promise<LoadedConfig> {
  let readable: Config | undefined;
  try {
    const loaded = loadFromFlags(flags, io);
    readable = loaded.config;
    return refuseUnbuilt(loaded);
  } catch (error) {
    if (error instanceof ConfigError) readable = error.readable;
    if (readable?.enableControlPlane === true) await io.leaveNothing(readable);
    throw error;
  }
}

/** One line for each thing that is wrong; of what nobody expected, the stack. */
function errorText(error: unknown): string {
  if (error instanceof NotBuiltError) return `${error.message}\n`;
  if (!(error instanceof KubeVipError) && error instanceof Error)
    return `Error: ${error.stack ?? error.message}\n`;
  return messageOf(error)
    .split('\n')
    .map((line) => `Error: ${line}\n`)
    .join('');
}
