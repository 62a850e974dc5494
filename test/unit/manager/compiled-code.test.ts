import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compiledCodeKeeper } from '../../../src/manager/compiled-code.ts';

test('with many Services V8 is told once to keep its bytecode, with few never', () => {
  const flags: string[] = [];
  const see = compiledCodeKeeper((flag) => flags.push(flag));
  see(500);
  assert.deepEqual(flags, []);
  see(501);
  see(502);
  assert.deepEqual(flags, ['--no-flush-bytecode']);
});
