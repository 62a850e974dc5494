import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { tuneForMany } from '../../../src/manager/engine.ts';

function flagsSet(): { readonly flags: string[]; readonly see: (services: number) => void } {
  const flags: string[] = [];
  const see = tuneForMany((flag) => flags.push(flag));
  return { flags, see };
}

test('with many Services V8 is told once to keep its bytecode, to collect and to optimize later, with few never', () => {
  const { flags, see } = flagsSet();
  see(500);
  assert.equal(flags.length, 0);
  see(501);
  see(502);
  const names = flags.map((flag) => flag.replace(/=.*/, ''));
  assert.deepEqual(names, [
    '--no-flush-bytecode',
    '--heap-growing-percent',
    '--invocation-count-for-maglev',
    '--invocation-count-for-maglev-osr',
    '--invocation-count-for-turbofan',
  ]);
});

test('V8 knows all these flags', () => {
  const { flags, see } = flagsSet();
  see(501);
  const { status, stderr } = spawnSync(process.execPath, [...flags, '-e', ''], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});
