import { KubeVipError } from '../lib/errors.ts';
import type { Config } from './settings.ts';

/** One thing wrong with a configuration. */
export interface ConfigProblem {
  /** The name a user knows the setting by. */
  readonly setting: string;
  /** As `sourceText` prints it. */
  readonly source: string;
  /** As given, secrets hidden. */
  readonly value: string;
  readonly problem: string;
  readonly remedy: string;
}

/** `env vip_arp="yes": not a boolean; use true or false`, or `cp_enable: no features are enabled; ...`. */
export function problemText(problem: ConfigProblem): string {
  return `${subject(problem)}: ${problem.problem}; ${problem.remedy}`;
}

function subject({ setting, source, value }: ConfigProblem): string {
  if (source === 'default') return setting;
  const shown = value === '' ? '' : `=${JSON.stringify(value)}`;
  return /^(?:env|flag|file) /.test(source) ? source + shown : `${setting}${shown} (${source})`;
}

/** A configuration that cannot be used: the program refuses to start and prints every problem. */
export class ConfigError extends KubeVipError {
  readonly code = 'CONFIG';
  readonly problems: readonly ConfigProblem[];
  /** What was passed over on the way, which may be why. */
  readonly warnings: readonly string[];
  /** What could be read, the rest at its default: to know what a predecessor may have left, and for nothing else. */
  readonly readable: Config | undefined;

  constructor(problems: readonly ConfigProblem[], warnings: readonly string[] = [], readable?: Config) {
    super(problems.map(problemText).join('\n'));
    this.problems = problems;
    this.warnings = warnings;
    this.readable = readable;
  }
}

/** A command line that cannot be understood: the program prints this and how it is used. */
export class UsageError extends KubeVipError {
  readonly code = 'USAGE';
}
