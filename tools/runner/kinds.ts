import { existsSync, globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** A kind of test: where its files are and how they are run. */
export interface Kind {
  readonly name: string;
  readonly globs: readonly string[];
  readonly concurrency: number;
  readonly fileTimeoutMs: number;
  /** What the kind needs beyond Node; lab/setup.ts decides whether it is there. */
  readonly needs: 'nothing' | 'lab' | 'cluster' | 'kernel';
  /** Part of plain `npm test`. */
  readonly always: boolean;
  /** Only files that contain this text. */
  readonly containing?: string;
  /** A module loaded before the file. */
  readonly preload?: string;
}

export const kinds: readonly Kind[] = [
  {
    name: 'unit',
    globs: ['test/unit/**/*.test.ts', 'test/arch/**/*.test.ts', 'test/scenario/**/*.test.ts'],
    concurrency: 2,
    fileTimeoutMs: 120_000,
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
    concurrency: 2,
    fileTimeoutMs: 5 * 60_000,
    needs: 'lab',
    always: true,
  },
  {
    name: 'cluster',
    globs: ['test/cluster/**/*.test.ts'],
    // Two at a time take a third less and share two cores with six API servers: what is timed there must not wait.
    concurrency: 1,
    fileTimeoutMs: 10 * 60_000,
    needs: 'cluster',
    always: true,
  },
  {
    // Boots another kernel, for what this one may lack.
    name: 'kernel',
    globs: ['test/kernel/**/*.test.ts'],
    concurrency: 1,
    fileTimeoutMs: 10 * 60_000,
    needs: 'kernel',
    always: true,
  },
  {
    name: 'fuzz',
    globs: ['test/unit/**/*.test.ts', 'test/fuzz/**/*.test.ts'],
    concurrency: 2,
    fileTimeoutMs: 30 * 60_000,
    needs: 'nothing',
    always: false,
    containing: "from 'fast-check'",
    preload: 'tools/runner/fuzz-preload.ts',
  },
];

/** The test files of a kind, sorted, relative to the root. */
export function filesOf(kind: Kind, root: string): readonly string[] {
  const files = [...new Set(kind.globs.flatMap((glob) => globSync(glob, { cwd: root })))].sort();
  const { containing } = kind;
  return containing === undefined
    ? files
    : files.filter((file) => readFileSync(resolve(root, file), 'utf8').includes(containing));
}

/** The kind that a file named on the command line belongs to. */
export function kindOfFile(file: string, root: string): Kind | undefined {
  if (!existsSync(resolve(root, file))) return undefined;
  return kinds.find((kind) => filesOf(kind, root).includes(file));
}
