import type { Setting } from './setting.ts';
import { didYouMean } from './suggest.ts';

/** Settings by name; command-only flags are declared in the same shape. */
export type FlagTable = readonly (readonly [string, Setting<unknown>])[];

/** Uses of one setting's flags, in order. */
export interface FlagUse {
  /** The spelling used last, with dashes. */
  readonly flag: string;
  readonly texts: readonly string[];
}

export interface FlagScan {
  readonly uses: ReadonlyMap<string, FlagUse>;
  /** What is not a flag: the command, then surplus arguments. */
  readonly words: readonly string[];
  readonly help: boolean;
  /** Unknown flags and missing values, as sentences. */
  readonly problems: readonly string[];
}

/**
 * Reads a command line as Go's pflag does: `--name=value`, `--name value`, `--bool` (never `--bool value`),
 * `-n value`, `-nvalue`, `-n=value`, `--` ends the flags; flags and words may be mixed. Types are not checked here.
 */
export function scanFlags(argv: readonly string[], table: FlagTable): FlagScan {
  const names = flagNames(table);
  const uses = new Map<string, FlagUse>();
  const words: string[] = [];
  const problems: string[] = [];
  let help = false;
  const rest = [...argv];

  const use = (flag: string, inline: string | undefined, nextMayBeValue: boolean): void => {
    if (flag === '--help' || flag === '-h') {
      help = true;
      return;
    }
    const entry = names.get(flag);
    if (entry === undefined) {
      const asked = flag.startsWith('--') ? `unknown flag: ${flag}` : `unknown shorthand flag: ${flag}`;
      problems.push(asked + didYouMean(flag, [...names.keys()]));
      return;
    }
    const [setting, isBool] = entry;
    const text = inline ?? (isBool ? 'true' : nextMayBeValue ? rest.shift() : undefined);
    if (text === undefined) problems.push(`flag needs an argument: ${flag}`);
    else uses.set(setting, { flag, texts: [...(uses.get(setting)?.texts ?? []), text] });
  };

  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') words.push(...rest.splice(0));
    else if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      if (equals < 0) use(word, undefined, true);
      else use(word.slice(0, equals), word.slice(equals + 1), false);
    } else if (word.startsWith('-') && word.length > 1) scanShort(word, names, use);
    else words.push(word);
  }
  return { uses, words, help, problems };
}

type Names = ReadonlyMap<string, readonly [setting: string, isBool: boolean]>;

/** One-letter flags; those that take no value may be joined. */
function scanShort(
  word: string,
  names: Names,
  use: (flag: string, inline: string | undefined, nextMayBeValue: boolean) => void,
): void {
  const letter = word[1] ?? '';
  const flag = `-${letter}`;
  const tail = word.slice(2);
  const takesValue = names.get(flag)?.[1] === false;
  if (tail === '') use(flag, undefined, true);
  else if (tail.startsWith('=')) use(flag, tail.slice(1), false);
  else if (takesValue) use(flag, tail, false);
  else if (names.has(flag) || flag === '-h') {
    use(flag, undefined, false);
    scanShort(`-${tail}`, names, use);
  } else use(names.has(`-${word}`) ? word : flag, undefined, false);
}

/** Every spelling with its dashes. */
function flagNames(table: FlagTable): Names {
  const names = new Map<string, readonly [string, boolean]>();
  for (const [name, setting] of table) {
    const entry = [name, setting.codec.type === 'bool'] as const;
    for (const flag of setting.flags) names.set(`--${flag}`, entry);
    if (setting.short !== undefined) names.set(`-${setting.short}`, entry);
  }
  return names;
}
