import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { skipsByReason, totals } from '../../../tools/runner/record.ts';
import type { FileResult } from '../../../tools/runner/record.ts';
import { runFile } from '../../../tools/runner/run-file.ts';

describe('the test runner', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kube-vip-runner-'));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  async function runText(text: string, timeoutMs = 60_000): Promise<FileResult> {
    const file = join(folder, 'sample.test.mjs');
    writeFileSync(file, `import { test, describe } from 'node:test';\n${text}\n`);
    return runFile(file, { root: folder, timeoutMs, preload: undefined });
  }

  const outcomes = (result: FileResult): string[] =>
    result.records.map(({ outcome, name }) => `${outcome} ${name}`);

  test('names tests by their suites and counts tests, not suites', async () => {
    const result = await runText(`
      describe('outer', () => { describe('inner', () => { test('a', () => {}); }); test('b', () => {}); });
      test('c', () => {});`);
    assert.deepEqual(outcomes(result), ['passed outer › inner › a', 'passed outer › b', 'passed c']);
    assert.deepEqual(totals([result]), { passed: 3, failed: 0, skipped: 0 });
  });

  test('keeps the reason of every skip, also of a whole suite and one decided late', async () => {
    const result = await runText(`
      test('a', { skip: 'no root' }, () => {});
      describe('s', { skip: 'no etcd' }, () => { test('inside', () => {}); });
      test('b', (t) => t.skip('no root'));`);
    assert.deepEqual(totals([result]), { passed: 0, failed: 0, skipped: 3 });
    assert.deepEqual(
      [...skipsByReason([result])].map(([reason, names]) => [reason, names.length]),
      [
        ['no root', 2],
        ['no etcd', 1],
      ],
    );
  });

  test('hands on what a test wants to be read', async () => {
    const result = await runText(`test('a', (t) => t.diagnostic('seed 42'));`);
    assert.deepEqual(result.notes, ['seed 42']);
  });

  test('shows what failed, and what the process printed', async () => {
    const result = await runText(`
      describe('s', () => { test('bad', () => { console.log('hello'); throw new Error('broken', { cause: 'rust' }); }); });`);
    assert.deepEqual(outcomes(result), ['failed s › bad']);
    assert.match(result.records[0]?.error ?? '', /broken[\s\S]*caused by 'rust'/);
    assert.match(result.output, /hello/);
  });

  test('fails a suite whose hook failed', async () => {
    const result = await runText(`
      import { after } from 'node:test';
      describe('s', () => { after(() => { throw new Error('left behind'); }); test('a', () => {}); });`);
    assert.deepEqual(outcomes(result), ['passed s › a', 'failed s']);
  });

  test('fails a file that crashes, that ends early, that runs no test', async () => {
    assert.match(outcomes(await runText(`throw new Error('crash');`)).join(), /^failed \(the file itself\)$/);
    assert.match(outcomes(await runText(`process.exit(0);`)).join(), /^failed \(the file itself\)$/);
    assert.match(outcomes(await runText('')).join(), /^failed \(the file itself\)$/);
    const late = await runText(`test('a', () => {}); process.on('exit', () => { process.exitCode = 3; });`);
    assert.deepEqual(outcomes(late), ['passed a', 'failed (the file itself)']);
  });

  test('ends a file that hangs, and what it started', async () => {
    const result = await runText(
      `import { spawn } from 'node:child_process';
       test('hangs', async () => { spawn('sleep', ['60'], { stdio: 'inherit' }); await new Promise((done) => setTimeout(done, 60_000)); });`,
      700,
    );
    assert.match(result.records.at(-1)?.error ?? '', /longer than 0\.7 s/);
    assert.ok(result.seconds < 20);
  });
});
