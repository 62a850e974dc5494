/** One feature taken out of the program, and the test that must notice. */
export interface Mutant {
  /** The parity line the feature belongs to. */
  readonly line: string;
  readonly file: string;
  /** Text that occurs exactly once in the file. */
  readonly from: string;
  readonly to: string;
  /** The test file whose tests named after the line must fail. */
  readonly test: string;
}

/** What came of a mutant. `stale`: its text is not in the source once; `not run`: no test of that name ended. */
export type Verdict = 'killed' | 'survived' | 'stale' | 'not run';

/** The source with the feature taken out; undefined when the text is not there exactly once. */
export function mutate(source: string, { from, to }: Pick<Mutant, 'from' | 'to'>): string | undefined {
  const at = source.indexOf(from);
  if (at < 0 || source.includes(from, at + 1)) return undefined;
  return source.slice(0, at) + to + source.slice(at + from.length);
}
