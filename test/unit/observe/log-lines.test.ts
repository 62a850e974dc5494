import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogLines } from '../../../src/observe/log-lines.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the lines of one turn are one write, in order; those of the next another', async () => {
  const written: string[] = [];
  const lines = new LogLines((text) => written.push(text));
  lines.add('one\n');
  lines.add('two\n');
  assert.deepEqual(written, []);
  await nextTurn();
  assert.deepEqual(written, ['one\ntwo\n']);
  lines.add('three\n');
  await nextTurn();
  await nextTurn();
  assert.deepEqual(written, ['one\ntwo\n', 'three\n']);
});

test('nothing is kept back at the end, nor more than 64 KiB at any time', async () => {
  const written: string[] = [];
  const lines = new LogLines((text) => written.push(text));
  lines.add('last words\n');
  lines.flush();
  assert.deepEqual(written, ['last words\n']);
  await nextTurn();
  for (let i = 0; i < 1000; i++) lines.add(`${'x'.repeat(99)}\n`);
  assert.equal(written.length, 2);
  assert.ok((written[1]?.length ?? 0) <= (64 << 10) + 100);
  await nextTurn();
  assert.equal(written.join('').length, 'last words\n'.length + 100_000);
});
