import { existsSync, globSync } from 'node:fs';
import { resolve } from 'node:path';

/** A kind of test: where its files are and how they are run. */
export interface Kind {
  readonly name: string;
  readonly globs: readonly string[];
  readonly concurrency: number;
  readonly fileTimeoutMs: number;
  /** What the kind needs beyond Node; lab/setup.ts decides whether it is there. */
  readonly needs: 'nothing' | 'lab' | 'cluster';
  /** Part of plain `npm test`. */
  readonly always: boolean;
}

export const kinds: readonly Kind[] = [
  {
    name: 'unit',
    globs: ['test/unit/**/*.test.ts', 'test/arch/**/*.test.ts', 'test/scenario/**/*.test.ts'],
    concurrency: 2,
    fileTimeoutMs: 60_000,
    needs: 'nothing',
    always: true,
  },
  {
    name: 'sim',
    globs: ['test/sim/**/*.test.ts'],
    concurrency: 2,
    fileTimeoutMs: 10 * 60_000,
    needs: 'nothing',
    always: true,
  },
  {
    name: 'lab',
    globs: ['test/lab/**/*.test.ts'],
    concurrency: 1,
    fileTimeoutMs: 5 * 60_000,
    needs: 'lab',
    always: true,
  },
  {
    name: 'cluster',
    globs: ['test/cluster/**/*.test.ts'],
    concurrency: 1,
    fileTimeoutMs: 10 * 60_000,
    needs: 'cluster',
    always: true,
  },
  {
    name: 'fuzz',
    globs: ['test/fuzz/**/*.test.ts', 'test/unit/**/*.fuzz.test.ts', 'test/unit/**/*.prop.test.ts'],
    concurrency: 2,
    fileTimeoutMs: 10 * 60_000,
    needs: 'nothing',
    always: false,
  },
];

/** The test files of a kind, sorted, relative to the root. */
export function filesOf(kind: Kind, root: string): readonly string[] {
  return [...new Set(kind.globs.flatMap((glob) => globSync(glob, { cwd: root })))].sort();
}

/** The kind that a file named on the command line belongs to. */
export function kindOfFile(file: string, root: string): Kind | undefined {
  if (!existsSync(resolve(root, file))) return undefined;
  return kinds.find((kind) => filesOf(kind, root).includes(file));
}
