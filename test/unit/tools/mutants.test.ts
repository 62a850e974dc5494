import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { mutate } from '../../../tools/mutants/mutant.ts';
import { mutants } from '../../../tools/mutants/table.ts';

const root = resolve(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(resolve(root, path), 'utf8');

test('a mutant replaces text that is there exactly once', () => {
  assert.equal(mutate('a b c', { from: 'b', to: 'x' }), 'a x c');
  assert.equal(mutate('a b b', { from: 'b', to: 'x' }), undefined);
  assert.equal(mutate('a', { from: 'b', to: 'x' }), undefined);
});

test('every mutant of the table still fits the sources, and its test claims the line', () => {
  const stale = mutants.filter((mutant) => mutate(read(mutant.file), mutant) === undefined);
  assert.deepEqual(
    stale.map(({ line, file }) => `${line} ${file}`),
    [],
  );
  const unclaimed = mutants.filter(
    ({ test: file, line }) => !existsSync(resolve(root, file)) || !read(file).includes(line),
  );
  assert.deepEqual(
    unclaimed.map(({ line, test: file }) => `${line} ${file}`),
    [],
  );
});
