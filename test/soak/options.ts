import { parseArgs } from 'node:util';

const features = ['election', 'security', 'ipam', 'dual'] as const;
/** `dual`: an IPv6 VIP of the control plane beside the IPv4 one. */
export type Feature = (typeof features)[number];

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly api: 'embedded' | 'real';
  /** What the daemons do beside control plane, balancer and Services. */
  readonly features: ReadonlySet<Feature>;
  /** Steps between two quiet moments. */
  readonly steps: number;
  /** How long the cluster may take to become what is wanted, seconds. */
  readonly settle: number;
  /** Replays this many rounds and stops, whatever the time. */
  readonly rounds: number;
  /** Where the report, and on a violation the logs, are written. */
  readonly out: string | undefined;
  readonly program: 'source' | 'dist';
}

export const usage = `npm run soak -- [--minutes 30] [--seed N] [--api embedded|real] [--with election,security,ipam,dual]
                 [--steps 14] [--settle 60] [--rounds N] [--out FOLDER] [--program source|dist]`;

/** Throws with the words for a person. */
export function parseOptions(args: readonly string[], randomSeed: number): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '30' },
      seed: { type: 'string', default: String(randomSeed) },
      api: { type: 'string', default: 'embedded' },
      with: { type: 'string', default: 'election' },
      steps: { type: 'string', default: '14' },
      settle: { type: 'string', default: '60' },
      rounds: { type: 'string', default: 'Infinity' },
      out: { type: 'string' },
      program: { type: 'string', default: 'source' },
    },
  });
  const names = values.with.split(',').filter((name) => name !== '');
  return {
    minutes: numberOf('minutes', values.minutes),
    seed: numberOf('seed', values.seed),
    api: oneOf('api', values.api, ['embedded', 'real']),
    features: new Set(names.map((name) => oneOf('with', name, features))),
    steps: numberOf('steps', values.steps),
    settle: numberOf('settle', values.settle),
    rounds: numberOf('rounds', values.rounds),
    out: values.out,
    program: oneOf('program', values.program, ['source', 'dist']),
  };
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || Number.isNaN(value) || value < 0) throw new Error(`--${name}: ${text} is no number`);
  return value;
}

function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new Error(`--${name}: ${text} is none of ${choices.join(', ')}`);
  return found;
}
