import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Kind } from '../../../tools/runner/kinds.ts';
import type { FileResult } from '../../../tools/runner/record.ts';
import type { Job } from '../../../tools/runner/schedule.ts';
import { withSecondRun, worthASecondRun } from '../../../tools/runner/second-run.ts';

const job = (file: string, needs: Kind['needs']): Job => {
  const kind = { name: needs, needs, concurrency: 1, globs: [], fileTimeoutMs: 1, always: true };
  return { kind, file, startsApiServers: false };
};
const result = (file: string, outcome: 'passed' | 'failed'): FileResult => {
  const records = [{ name: 'a test', outcome, ms: 1 }];
  return { file, records, notes: [], seconds: 1, cpuSeconds: 1, output: '' };
};
const jobs = [
  job('unit', 'nothing'),
  ...['lab1', 'lab2', 'lab3'].map((file) => job(file, 'lab')),
  job('cluster', 'cluster'),
];
const secondOf = (...failed: readonly string[]): readonly string[] =>
  worthASecondRun(
    jobs,
    jobs.map(({ file }) => result(file, failed.includes(file) ? 'failed' : 'passed')),
  ).map(({ file }) => file);

describe('a second run', () => {
  test('is for the few files that failed beside others and need more than Node', () => {
    assert.deepEqual(secondOf('lab2', 'cluster'), ['lab2', 'cluster']);
    assert.deepEqual(secondOf(), []);
  });

  test('is for none when a test that only computes failed, or more than three', () => {
    assert.deepEqual(secondOf('unit', 'lab1'), []);
    assert.deepEqual(secondOf('lab1', 'lab2', 'lab3', 'cluster'), []);
  });

  test('counts instead of the first, and what passed only then is named', () => {
    const first = [result('lab1', 'failed'), result('lab2', 'failed'), result('lab3', 'passed')];
    const second = [result('lab1', 'passed'), result('lab2', 'failed')];
    const { results, unsteady } = withSecondRun(first, second);
    assert.deepEqual(
      results.map(({ file, records }) => `${file} ${records[0]?.outcome}`),
      ['lab1 passed', 'lab2 failed', 'lab3 passed'],
    );
    assert.deepEqual(unsteady, ['lab1: a test']);
  });
});
