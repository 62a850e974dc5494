import { existsSync, globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Job } from './schedule.ts';

/** A kind of test: where its files are and how they are run. */
export interface Kind {
  readonly name: string;
  readonly globs: readonly string[];
  /** Files of this kind that run at a time. */
  readonly concurrency: number;
  /** Of the scheduler, 0 by default: what only computes makes way for what is timed. */
  readonly niceness?: number;
  readonly fileTimeoutMs: number;
  /** What the kind needs beyond Node; lab/setup.ts decides whether it is there. */
  readonly needs: 'nothing' | 'lab' | 'cluster' | 'kernel';
  /** Part of plain `npm test`. */
  readonly always: boolean;
  /** Only files that contain this text. */
  readonly containing?: string;
  /** A module loaded before each file that has properties. */
  readonly preload?: string;
}

/** What a test file with properties contains. */
const PROPERTIES = "from 'fast-check'";

export const kinds: readonly Kind[] = [
  {
    name: 'unit',
    globs: ['test/unit/**/*.test.ts', 'test/arch/**/*.test.ts', 'test/scenario/**/*.test.ts'],
    concurrency: 3,
    niceness: 10,
    fileTimeoutMs: 3 * 60_000,
    needs: 'nothing',
    always: true,
    preload: 'tools/runner/seed-preload.ts',
  },
  {
    name: 'sim',
    globs: ['test/sim/**/*.test.ts'],
    concurrency: 2,
    niceness: 10,
    fileTimeoutMs: 30 * 60_000,
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
    concurrency: 3,
    fileTimeoutMs: 10 * 60_000,
    needs: 'cluster',
    always: true,
  },
  {
    // Boots another kernel, for what this one may lack.
    name: 'kernel',
    globs: ['test/kernel/**/*.test.ts'],
    concurrency: 1,
    niceness: 10,
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
    containing: PROPERTIES,
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

/** What starts etcd and kube-apiserver on every node of a lab; a file with one API server alone hardly works at all. */
const API_SERVERS = /api: 'real'/;

/** A file of a kind, as the schedule wants to know it. */
export function jobOf(kind: Kind, file: string, root: string): Job {
  const text = readFileSync(resolve(root, file), 'utf8');
  return {
    kind,
    file,
    startsApiServers: API_SERVERS.test(text),
    preload: text.includes(PROPERTIES) ? kind.preload : undefined,
  };
}

/** The kind that a file named on the command line belongs to. */
export function kindOfFile(file: string, root: string): Kind | undefined {
  if (!existsSync(resolve(root, file))) return undefined;
  return kinds.find((kind) => filesOf(kind, root).includes(file));
}
